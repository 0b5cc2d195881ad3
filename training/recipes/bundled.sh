#!/bin/sh
# How the bundled model was trained, in about five and a half hours on two CPU cores:
#
#   python training/data/prepare.py --output_dir data
#   PROTOTYPE=FOLDER VGG=FILE sh training/recipes/bundled.sh
#
# FOLDER holds the weights that training started from, prototype_edge_generator.safetensors and
# prototype_inpaint_generator.safetensors; FILE is VGG19, at least up to conv3_4. Replace them with your own.
#
# Runs of the two generators that follow each other here ran in parallel. The first run of each began with 250 updates on
# facades only, in crops of at least half the short side, without plain images. Up to edge-256b the lines around the hole
# were found in the whole image, as in the published code. `match_colours` was the pyramid alone: `_RELAXATIONS = 0` and
# `_TRUST = 4` in edgeconnect_hf/colours.py.
set -e
: "${PROTOTYPE:?folder of the weights to start from}" "${VGG:?safetensors file of VGG19}"
python=${PYTHON:-python3}

train() { # generator, run to start from, run, flags
    generator=$1 from=$2 run=$3
    shift 3
    $python training/train.py --recipe training/recipes/bundled-"$generator".yaml \
        --pretrained_model_name_or_path runs/"$from" --output_dir runs/"$run" --vgg_weights "$VGG" "$@"
}

compose() { # edge generator of the first run, completion generator of the second, run
    $python - runs/"$1" runs/"$2" runs/"$3" <<'END'
import sys
from edgeconnect_hf import EdgeConnectPipeline
edge, completion = map(EdgeConnectPipeline.from_pretrained, sys.argv[1:3])
pipe = EdgeConnectPipeline(edge.edge_generator, completion.completion_generator, match_colours=True)
pipe.save_pretrained(sys.argv[3])
END
}

# Photos, and the prototype.
mkdir -p runs/mix
ln -sf "$PWD"/data/facades/train/* runs/mix
ls "$PWD"/data/flowers/train/* | awk 'NR % 16 == 0' | xargs ln -sf -t runs/mix
edgeconnect convert "$PROTOTYPE"/prototype_edge_generator.safetensors \
    "$PROTOTYPE"/prototype_inpaint_generator.safetensors runs/prototype

# First round: few images, colours matched afterwards only.
train edge prototype edge-128a --resolution 128 --min_crop_scale 0.25 --train_batch_size 4 --max_train_steps 1400 \
    --learning_rate 1e-3 --ema_decay 0.995
train completion edge-128a completion-128a --resolution 128 --min_crop_scale 0.25 --train_batch_size 4 \
    --max_train_steps 1400 --learning_rate 1e-3 --ema_decay 0.995 --sigma 0 --match_colours false
train edge completion-128a edge-256a --train_batch_size 2 --max_train_steps 700 --learning_rate 5e-4 --ema_decay 0.995
train completion completion-128a completion-256a --train_batch_size 2 --max_train_steps 800 --learning_rate 6e-4 \
    --ema_decay 0.995 --edge_source generated --match_colours false
compose edge-256a completion-256a first

# Second round: through the matched colours, from true and generated lines.
train edge first edge-128b --resolution 128 --min_crop_scale 0.3 --train_batch_size 8 --max_train_steps 1500 \
    --learning_rate 1e-3
train edge edge-128b edge-256b --train_batch_size 4 --max_train_steps 800 --learning_rate 6e-4
train edge edge-256b edge-256c --train_batch_size 4 --max_train_steps 700 --learning_rate 6e-4
train completion first completion-128b --resolution 128 --min_crop_scale 0.3 --train_batch_size 8 \
    --max_train_steps 2000 --learning_rate 1e-3 --edge_source mixed

# With the perceptual loss. The first of these runs was stopped after 190 of 700 updates.
perceptual="--completion_loss_weights.perceptual 1 --edge_source mixed"
compose edge-128b completion-128b second
train completion second completion-128c --resolution 128 --min_crop_scale 0.3 --train_batch_size 8 \
    --max_train_steps 190 --learning_rate 6e-4 --lr_scheduler constant $perceptual
compose edge-256b completion-128c third
train completion third completion-256b --train_batch_size 3 --max_train_steps 431 --learning_rate 5e-4 \
    --lr_scheduler constant --ema_decay 0.99 $perceptual
compose edge-256c completion-256b fourth
train completion fourth completion-256c --train_batch_size 3 --max_train_steps 820 --learning_rate 5e-4 \
    --ema_decay 0.997 $perceptual
compose edge-256c completion-256c fifth

# Third round: both end to end.
train joint fifth bundled

# Do the lines pay? (docs/model.md)
train completion first completion-128-no-lines --resolution 128 --min_crop_scale 0.3 --train_batch_size 8 \
    --max_train_steps 2000 --learning_rate 1e-3 --sigma -1
compose edge-256c completion-128b with
compose edge-256c completion-128-no-lines without
