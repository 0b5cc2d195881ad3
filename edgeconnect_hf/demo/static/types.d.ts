/** The types that several of the page's files share. */

type App = import("./app.js").App;
type Panel = import("./panel.js").Panel;
type Server = import("./server.js").Server;
type Work = import("./work.js").Work;

/** In pixels of the photo. */
type Point = { x: number; y: number };
type Span = (start: number, end: number) => void; // takes a row's pixels as places in a plane
type Colouring = (x: number, y: number) => number; // of pixels, as RGBA in 32 bits, red lowest
type Box = { left: number; top: number; right: number; bottom: number };

/** A value a pixel of the photo, in rows from the top. */
type Plane = Uint8Array | Uint32Array;
type PlaneName = "mask" | "edges" | "touched" | "colours";
/** A plane as runs of equal values, in base64; `lengths` of 32 bits. */
type Packed = { values: string; lengths: string };

type Photo = {
  blob: Blob;
  name: string;
  path: string | null; // the server's, null until it is uploaded
  url: string; // what the browser shows
  width: number;
  height: number;
};

type Result = {
  box: number[]; // left, top, right, bottom
  patch: string; // a PNG in base64
  mask: Packed;
  isDraft?: boolean; // its texture is missing
};

/** Of the work, whole, so that a late result may replace its state alone. */
type State = {
  photo: Photo;
  mask: Packed;
  edges: Packed;
  touched: Packed; // what a person did to the lines: `DRAWN`, `ERASED` or 0
  colours: Packed | null;
  result: Result | null;
  isCurrent: boolean; // the result shows this hole and these lines
};

/** For the lines in the hole, with its thumbnail's address. */
type Idea = { edges: Packed; url: string };

/** What is opened. `complete`: what was done to the photo earlier. */
type Opening = { blob: Blob; name: string; settings?: object; complete?: (photo: Photo) => Promise<State> };

type Tool = {
  id: string;
  name: string; // in lower case
  of: "hole" | "lines" | "colour" | "view"; // what it works on
  size?: number; // in pixels on a photo of 1024 pixels; only of tools that have one
};
type Keys = { shiftKey: boolean; altKey: boolean };
/** What a pointer does from where it was put down. */
type Gesture = { move: (point: Point, keys: Keys) => void; end: () => void };

/** What Gradio gives: the component's own values, its handlers, its upload. */
type Props = { max_megapixels: number; max_megabytes: number };
type Functions = Record<string, (data: object) => Promise<any>>;
type Upload = (file: File) => Promise<{ path: string; url: string }>;
interface Window { gradio_config: { root: string } }
