"""A Gradio app that strangers may use: who may ask what, how much, and when a job is given up. Needs the extra `demo`.

It knows nothing of what the app does. `limits` alone needs no Gradio.
"""
