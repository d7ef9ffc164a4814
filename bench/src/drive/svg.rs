//! Line charts as inline SVG.

use std::fmt::Write;

use crate::report::number;

/// A chart of lines over one x axis.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    /// Moments with a name, shown as upright lines.
    pub(super) marks: Vec<(f64, String)>,
}

/// One axis: how values become places, and which of them are named.
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear { min: f64, max: f64 },
    Log { min: f64, max: f64 },
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) color: usize,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

impl Axis {
    /// From 0 to beyond `max`, with about five round values.
    pub(super) fn linear(label: &'static str, max: f64) -> Axis {
        let max = if max > 0.0 { max } else { 1.0 };
        let step = round_step(max / 5.0);
        let top = (max / step).ceil() * step;
        Axis { label, scale: Scale::Linear { min: 0.0, max: top }, ticks: even_ticks(step, top) }
    }

    /// From 0 to exactly `max`, with some ten round values.
    pub(super) fn time(label: &'static str, max: f64) -> Axis {
        let step = round_step(max / 10.0).max(1.0);
        Axis { label, scale: Scale::Linear { min: 0.0, max }, ticks: even_ticks(step, max) }
    }

    /// Powers of ten around the values. Labels are latencies, from µs.
    pub(super) fn latency(label: &'static str, min_us: f64, max_us: f64) -> Axis {
        let low = min_us.max(0.1).log10().floor();
        let high = max_us.max(1.0).log10().ceil().max(low + 1.0);
        let mut ticks = Vec::new();
        for power in low as i32..=high as i32 {
            let us = 10f64.powi(power);
            let name = match us {
                us if us >= 1e6 => format!("{} s", us / 1e6),
                us if us >= 1e3 => format!("{} ms", us / 1e3),
                us => format!("{us} µs"),
            };
            ticks.push((us, name));
        }
        Axis { label, scale: Scale::Log { min: 10f64.powf(low), max: 10f64.powf(high) }, ticks }
    }

    /// Percentiles, each nine as wide as the one before. Values are 1 / (1 - quantile).
    pub(super) fn percentiles(nines: i32) -> Axis {
        let ticks = (0..=nines).map(|count| {
            let name = match count {
                0 => "0".to_owned(),
                1 => "90 %".to_owned(),
                2 => "99 %".to_owned(),
                more => format!("99.{} %", "9".repeat(more as usize - 2)),
            };
            (10f64.powi(count), name)
        });
        let scale = Scale::Log { min: 1.0, max: 10f64.powi(nines) };
        Axis { label: "percentile", scale, ticks: ticks.collect() }
    }
}

impl Scale {
    /// Where a value lies, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        let place = match self {
            Scale::Linear { min, max } => (value - min) / (max - min),
            Scale::Log { min, max } => (value.max(min) / min).log10() / (max / min).log10(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// The chart as an SVG element.
pub(super) fn render(chart: &Chart<'_>) -> String {
    let mut out = String::new();
    draw(chart, &mut out).expect("a string takes all that is written");
    out
}

fn draw(chart: &Chart<'_>, out: &mut String) -> std::fmt::Result {
    let x = |value: f64| LEFT + chart.x.scale.place(value) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - chart.y.scale.place(value) * (HEIGHT - TOP - BOTTOM);
    let title = escape(chart.title);
    writeln!(out, "<figure><figcaption>{title}</figcaption>")?;
    writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">")?;
    let (low, high, right) = (HEIGHT - BOTTOM, TOP, WIDTH - RIGHT);
    for (value, name) in &chart.y.ticks {
        let at = y(*value);
        writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")?;
        let text = at + 4.0;
        writeln!(out, "<text x=\"{}\" y=\"{text:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 8.0)?;
    }
    for (value, name) in &chart.x.ticks {
        let at = x(*value);
        writeln!(out, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{high}\" y2=\"{low}\"/>")?;
        writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", low + 18.0)?;
    }
    let middle = f64::midpoint(LEFT, right);
    writeln!(
        out,
        "<text class=\"label\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        HEIGHT - 6.0,
        chart.x.label
    )?;
    writeln!(out, "<text class=\"label\" x=\"8\" y=\"{}\">{}</text>", TOP - 14.0, chart.y.label)?;
    for (value, name) in &chart.marks {
        let at = x(*value);
        writeln!(out, "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{high}\" y2=\"{low}\"/>")?;
        writeln!(
            out,
            "<text class=\"mark\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            high - 5.0,
            escape(name)
        )?;
    }
    for line in &chart.lines {
        let mut path = String::new();
        for (index, (at_x, at_y)) in line.points.iter().enumerate() {
            write!(path, "{}{:.1} {:.1}", if index == 0 { "M" } else { "L" }, x(*at_x), y(*at_y))?;
        }
        let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        writeln!(
            out,
            "<path class=\"line\" stroke=\"{}\"{dash} d=\"{path}\"><title>{}</title></path>",
            COLORS[line.color % COLORS.len()],
            escape(&line.name)
        )?;
    }
    writeln!(out, "</svg>\n<p class=\"legend\">")?;
    let mut named: Vec<&str> = Vec::new();
    for line in &chart.lines {
        if named.contains(&line.name.as_str()) {
            continue;
        }
        named.push(&line.name);
        let style = if line.dashed { "dashed" } else { "solid" };
        let color = COLORS[line.color % COLORS.len()];
        writeln!(out, "<span><i style=\"border-top:3px {style} {color}\"></i>{}</span>", escape(&line.name))?;
    }
    writeln!(out, "</p></figure>")
}

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn even_ticks(step: f64, max: f64) -> Vec<(f64, String)> {
    let count = (max / step * 1.001) as u32;
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let name = |at: f64| match decimals {
        0 => number(at).split('.').next().unwrap_or_default().to_owned(),
        _ => format!("{at:.decimals$}"),
    };
    (0..=count).map(|index| f64::from(index) * step).map(|at| (at, name(at))).collect()
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0];
    power * digits.into_iter().find(|digit| digit * power >= step * 0.999).unwrap_or(10.0)
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 48.0;

/// Told apart by most eyes, on white and on print (Okabe and Ito).
const COLORS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#444444"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_even_on_a_linear_scale_and_by_factors_on_a_logarithmic_one() {
        let linear = Scale::Linear { min: 0.0, max: 50.0 };
        assert_eq!([0.0, 25.0, 50.0, 99.0].map(|value| linear.place(value)), [0.0, 0.5, 1.0, 1.0]);
        let log = Scale::Log { min: 1.0, max: 10_000.0 };
        assert!((log.place(100.0) - 0.5).abs() < 1e-9);
        assert_eq!(log.place(0.0), 0.0);
    }

    #[test]
    fn an_axis_ends_at_a_round_value_beyond_the_greatest() {
        let names = |max| Axis::linear("", max).ticks.last().map(|(_, name)| name.clone());
        assert_eq!(names(43.0).as_deref(), Some("50"));
        assert_eq!(names(1000.0).as_deref(), Some("1 000"));
        assert_eq!(names(0.0).as_deref(), Some("1.0"));
        assert_eq!(names(0.3).as_deref(), Some("0.3"));
        assert_eq!(Axis::time("", 12.0).ticks.len(), 7, "0, 2, ... 12");
        let latency: Vec<String> =
            Axis::latency("", 30.0, 2_000_000.0).ticks.into_iter().map(|(_, name)| name).collect();
        assert_eq!(latency, ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
    }
}
