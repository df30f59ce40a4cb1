//! A chart of the figures: two bars for each, that of nexus above the other's.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Figure, Unit};

/// The width of a README on GitHub, in pixels.
const WIDTH: f64 = 830.0;

/// The height of one figure.
const ROW: f64 = 62.0;

/// Where the bars begin, and the length of the longest.
const LEFT: f64 = 10.0;
const LONGEST: f64 = 470.0;

/// The colors are readable on white and on GitHub's dark background.
const STYLE: &str = "text { font: 13px -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
.name { font-weight: 600 }
.nexus { fill: #0969da }
.other { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .nexus { fill: #4493f8 }
  .other { fill: #545d68 }
}";

/// The chart as an SVG document.
pub(crate) fn chart(figures: &[Figure]) -> Result<String> {
    let height = ROW * f64::from(u32::try_from(figures.len())?) + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\">\n<title>nexus compared with other programs</title>\n<style>{STYLE}</style>\n"
    );
    let mut top = 0.0;
    for figure in figures {
        let better = if figure.unit == Unit::PerSecond { "more is better" } else { "less is better" };
        writeln!(
            svg,
            "<text class=\"name\" x=\"{LEFT}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.2} x, {better}\
             </text>",
            top + 18.0,
            escaped(&figure.name),
            WIDTH - LEFT,
            top + 18.0,
            figure.ratio(),
        )?;
        let longest = figure.nexus.max(figure.other);
        for (class, value, name, y) in
            [("nexus", figure.nexus, "nexus", top + 25.0), ("other", figure.other, &*figure.with, top + 42.0)]
        {
            let length = (LONGEST * value / longest).max(1.0);
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"13\" rx=\"2\"/><text x=\"{:.1}\" \
                 y=\"{}\">{}, {}</text>",
                LEFT + length + 8.0,
                y + 11.0,
                escaped(name),
                figure.unit.show(value),
            )?;
        }
        top += ROW;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
