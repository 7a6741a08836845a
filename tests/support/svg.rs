//! Draws diagrams as SVG: boxes at fixed places, and curves between them that are computed. The unit tests of the
//! library and `tests/tidy/` share it.
//!
//! The text of a diagram is text, and it has a title and a description for those who cannot see it. Its colours follow
//! the scheme of the reader, light or dark, and it brings its own background.

#![allow(dead_code, reason = "each user takes its own part of it")]

use std::fmt::Write as _;
use std::path::Path;

/// Compares the file of a diagram with its text, or writes it if the environment variable `MONOLOOP_DIAGRAMS` is
/// `write`. `command` is how the reader writes it.
///
/// # Panics
/// If the file is not what the text says.
#[track_caller]
pub(crate) fn check(file: &str, svg: &str, command: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagrams").join(file);
    if std::env::var("MONOLOOP_DIAGRAMS").as_deref() == Ok("write") {
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
        return std::fs::write(&path, svg).expect("the diagram can be written");
    }
    let is_fresh = std::fs::read_to_string(&path).is_ok_and(|written| written == svg);
    assert!(is_fresh, "docs/diagrams/{file} is stale: write it by `MONOLOOP_DIAGRAMS=write {command}`");
}

/// A place of a box at which a curve begins or ends, as a part of its side from 0 to 1, from the left or the top.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Left(f64),
    Right(f64),
    Top(f64),
    Bottom(f64),
}

/// A box with a name and lines of text below it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// The class of its colours: `go`, `work`, `other`, `end` or `gone`.
    pub(crate) kind: &'static str,
    pub(crate) at: (f64, f64),
    pub(crate) size: (f64, f64),
}

/// A curve from a box to another one, with the cause of the step beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) out: Side,
    pub(crate) into: Side,
    /// How far the curve goes straight on at both of its ends.
    pub(crate) bend: f64,
    /// Where the middle of the cause is, seen from the middle of the curve.
    pub(crate) label: (f64, f64),
}

/// A diagram in the making.
#[derive(Debug)]
pub(crate) struct Picture {
    size: (f64, f64),
    title: String,
    description: String,
    body: String,
}

const STYLE: &str = "
    text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 20px; font-weight: 600 }
    .name { font: 600 15px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
    .mono { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
    .small { fill: #59636e; font-size: 12px }
    .label { font-size: 12px; fill: #424a53 }
    .sheet { fill: #ffffff; stroke: #d1d9e0 }
    .plate { fill: #ffffff }
    .frame { fill: none; stroke: #afb8c1; stroke-dasharray: 6 5 }
    .line { fill: none; stroke: #6e7781; stroke-width: 1.6 }
    .faint { fill: none; stroke: #afb8c1; stroke-width: 1.3 }
    .tip { fill: #6e7781 }
    .box { stroke-width: 1.6 }
    .go { fill: #dafbe1; stroke: #1a7f37 }
    .work { fill: #ddf4ff; stroke: #0969da }
    .other { fill: #fbefff; stroke: #8250df }
    .end { fill: #fff1e5; stroke: #bc4c00 }
    .gone { fill: #eaeef2; stroke: #59636e }
    .none { fill: #f6f8fa; stroke: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .small { fill: #9198a1 }
      .label { fill: #c9d1d9 }
      .sheet { fill: #0d1117; stroke: #3d444d }
      .plate { fill: #0d1117 }
      .frame { stroke: #57606a }
      .line { stroke: #9198a1 }
      .faint { stroke: #57606a }
      .tip { fill: #9198a1 }
      .go { fill: #0f2a19; stroke: #3fb950 }
      .work { fill: #0c2240; stroke: #4493f8 }
      .other { fill: #271a40; stroke: #ab7df8 }
      .end { fill: #351d0b; stroke: #f0883e }
      .gone { fill: #21262d; stroke: #9198a1 }
      .none { fill: #12171f; stroke: #3d444d }
    }";

impl Picture {
    /// An empty sheet with a title, and a line of small text below it that says of what it is made. `description` is
    /// for those who do not see the picture.
    pub(crate) fn new(size: (f64, f64), title: &str, source: &str, description: &str) -> Self {
        let mut picture =
            Self { size, title: title.to_owned(), description: description.to_owned(), body: String::new() };
        picture.text("title", (32.0, 42.0), "start", title);
        picture.text("small", (32.0, 64.0), "start", source);
        picture
    }

    /// Adds lines of text, one below the other. `anchor` is `start`, `middle` or `end`.
    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), anchor: &str, text: &str) {
        for (line, y) in text.lines().zip(0..) {
            let (x, y, line) = (number(at.0), number(at.1 + 16.0 * f64::from(y)), escaped(line));
            self.add(&format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{line}</text>"));
        }
    }

    /// Adds a rectangle.
    pub(crate) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        let [x, y, w, h] = [at.0, at.1, size.0, size.1].map(number);
        self.add(&format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"9\"/>"));
    }

    /// Adds a box with its texts.
    pub(crate) fn node(&mut self, node: &Node) {
        let lines = node.text.lines().count() as f64;
        let (middle, first) = (node.at.0 + node.size.0 / 2.0, node.at.1 + node.size.1 / 2.0 + 5.0 - 8.5 * lines);
        self.rect(&format!("box {}", node.kind), node.at, node.size);
        self.text("name", (middle, first), "middle", node.name);
        self.text("small", (middle, first + 19.0), "middle", node.text);
    }

    /// Adds the boxes, the curves between them with their arrows, and the cause of each.
    #[track_caller]
    pub(crate) fn graph(&mut self, nodes: &[Node], edges: &[Edge]) {
        let mut middles = Vec::new();
        for edge in edges {
            let (from, to) = (find(nodes, edge.from), find(nodes, edge.to));
            let (begin, end) = (anchor(from, edge.out), anchor(to, edge.into));
            middles.push(self.curve("line", (begin, edge.out), (end, edge.into), edge.bend));
        }
        for (edge, middle) in edges.iter().zip(middles).filter(|(edge, _)| !edge.cause.is_empty()) {
            self.label((middle.0 + edge.label.0, middle.1 + edge.label.1), edge.cause);
        }
        nodes.iter().for_each(|node| self.node(node));
    }

    /// Adds text on a plate that hides the lines below it. The text is around this point.
    pub(crate) fn label(&mut self, (x, y): (f64, f64), text: &str) {
        let lines = text.lines().count() as f64;
        // A guess: the widths of the letters are those of the reader's font.
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default() as f64;
        let (w, h) = (6.0 * longest + 8.0, 16.0 * lines + 2.0);
        self.rect("plate", (x - w / 2.0, y - h / 2.0), (w, h));
        self.text("label", (x, y + 4.0 - 8.0 * (lines - 1.0)), "middle", text);
    }

    /// Adds a curve with an arrow, and returns its middle.
    pub(crate) fn curve(
        &mut self,
        class: &str,
        (begin, out): ((f64, f64), Side),
        (end, into): ((f64, f64), Side),
        bend: f64,
    ) -> (f64, f64) {
        let (first, last) = (ahead(begin, out, bend), ahead(end, into, bend));
        // The line ends within its arrow, so that the tip is sharp.
        let neck = ahead(end, into, 7.0);
        let points = [begin.0, begin.1, first.0, first.1, last.0, last.1, neck.0, neck.1].map(number);
        let [a, b, c, d, e, f, g, h] = points;
        self.add(&format!("<path class=\"{class}\" d=\"M{a},{b} C{c},{d} {e},{f} {g},{h}\"/>"));
        self.tip(end, into);
        let mix = |a: f64, b: f64, c: f64, d: f64| (a + 3.0 * b + 3.0 * c + d) / 8.0;
        (mix(begin.0, first.0, last.0, end.0), mix(begin.1, first.1, last.1, end.1))
    }

    /// Adds a dot, and a short arrow from it to a box at this point of its side.
    pub(crate) fn beginning(&mut self, end: (f64, f64), into: Side) {
        let dot = ahead(end, into, 24.0);
        self.curve("line", (dot, into), (end, into), 0.0);
        self.dot(dot);
    }

    /// Adds a dot.
    pub(crate) fn dot(&mut self, (x, y): (f64, f64)) {
        let [x, y] = [x, y].map(number);
        self.add(&format!("<circle class=\"tip\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"));
    }

    /// Adds the meanings of colours, one below the other: the class of each, and what it says.
    pub(crate) fn legend(&mut self, (x, y): (f64, f64), meanings: &[(&str, &str)]) {
        for ((kind, text), row) in meanings.iter().zip(0..) {
            let y = y + 24.0 * f64::from(row);
            self.rect(&format!("box {kind}"), (x, y - 12.0), (20.0, 16.0));
            self.text("small", (x + 30.0, y), "start", text);
        }
    }

    /// Adds the tip of an arrow that comes from this side.
    fn tip(&mut self, (x, y): (f64, f64), from: Side) {
        let (base, wide) = (ahead((0.0, 0.0), from, 9.0), 4.5);
        let (dx, dy) = if base.0 == 0.0 { (wide, 0.0) } else { (0.0, wide) };
        let [x0, y0, x1, y1, x2, y2] =
            [x, y, x + base.0 + dx, y + base.1 + dy, x + base.0 - dx, y + base.1 - dy].map(number);
        self.add(&format!("<path class=\"tip\" d=\"M{x0},{y0} L{x1},{y1} L{x2},{y2} Z\"/>"));
    }

    fn add(&mut self, element: &str) {
        writeln!(self.body, "  {element}").expect("a string takes all");
    }

    /// The whole file.
    pub(crate) fn finish(self) -> String {
        let Self { size, title, description, body } = self;
        let [w, h] = [size.0, size.1].map(number);
        let [inner_w, inner_h] = [size.0 - 2.0, size.1 - 2.0].map(number);
        let (title, description) = (escaped(&title), escaped(&description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             role=\"img\" aria-labelledby=\"title description\">\n  <title id=\"title\">{title}</title>\n  \
             <desc id=\"description\">{description}</desc>\n  <style>{STYLE}\n  </style>\n  \
             <rect class=\"sheet\" x=\"1\" y=\"1\" width=\"{inner_w}\" height=\"{inner_h}\" rx=\"14\"/>\n{body}</svg>\n"
        )
    }
}

#[track_caller]
fn find<'a>(nodes: &'a [Node], name: &str) -> &'a Node {
    nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no box has the name {name}"))
}

/// The point of a box at which a curve begins or ends.
fn anchor(node: &Node, side: Side) -> (f64, f64) {
    let ((x, y), (w, h)) = (node.at, node.size);
    match side {
        Side::Left(part) => (x, y + h * part),
        Side::Right(part) => (x + w, y + h * part),
        Side::Top(part) => (x + w * part, y),
        Side::Bottom(part) => (x + w * part, y + h),
    }
}

/// The point so far away from a side.
const fn ahead((x, y): (f64, f64), side: Side, by: f64) -> (f64, f64) {
    match side {
        Side::Left(_) => (x - by, y),
        Side::Right(_) => (x + by, y),
        Side::Top(_) => (x, y - by),
        Side::Bottom(_) => (x, y + by),
    }
}

/// A number with at most one digit after its point.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Compares what the code does with what a picture shows: `steps` by the code, `drawn` by the table of the picture.
///
/// # Panics
/// If a step has no edge, an edge no step, or an edge no cause.
#[track_caller]
pub(crate) fn check_edges<'a>(
    steps: &[(String, String)],
    drawn: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
) {
    let drawn: Vec<_> = drawn.into_iter().collect();
    for (from, to) in steps {
        let count = drawn.iter().filter(|edge| (edge.0, edge.1) == (from, to)).count();
        assert!(count == 1, "the table leads from {from} to {to}, which the picture must show once and shows {count}x");
    }
    for (from, to, cause) in drawn {
        assert!(
            steps.iter().any(|step| (&*step.0, &*step.1) == (from, to)),
            "the picture leads from {from} to {to}, and the table does not"
        );
        assert!(!cause.is_empty(), "the edge from {from} to {to} says no cause");
    }
}
