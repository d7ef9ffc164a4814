//! One page with everything in it, to read at a glance and to send on.

use super::outcome::{OperationFound, Outcome, Round};
use super::svg::{Axis, Chart, Line, escape, render as chart};
use crate::latency::Latency;
use crate::report::{NONE, number};

/// The page as HTML, without anything from elsewhere.
pub(super) fn render(outcome: &Outcome) -> String {
    let Outcome { stem, workload, servers, command, .. } = outcome;
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"lead\">{}</p>\n<p>{}</p>\n<pre>{}</pre>\n",
        escape(stem),
        escape(workload),
        escape(servers),
        escape(command)
    );
    if !outcome.mapping.is_empty() {
        let items: String = outcome.mapping.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
        body += &format!("<p>etcd's operations in place of ZooKeeper's:</p>\n<ul>{items}</ul>\n");
    }
    if !outcome.optimised {
        body += "<p class=\"warning\">Measured with a debug build: the figures mean nothing.</p>\n";
    }
    for (index, round) in (1..).zip(&outcome.rounds) {
        if outcome.rounds.len() > 1 {
            body += &format!("<h2>Round {index}</h2>\n");
        }
        body += &tiles(round);
        body += &table(round);
    }
    body += &percentiles(outcome);
    for (index, round) in (1..).zip(&outcome.rounds).filter(|(_, round)| !round.timeline.is_empty()) {
        if outcome.rounds.len() > 1 {
            body += &format!("<h2>Round {index}, second by second</h2>\n");
        }
        body += &timelines(round);
    }
    if let Some(host) = &outcome.host {
        body += &format!("<h2>Machine</h2>\n<p>{}</p>\n", escape(&host_line(host)));
    }
    body += &format!("<footer>{READS_AS}</footer>\n");
    let title = escape(stem);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head>\n\
         <body><main>\n{body}</main></body></html>\n"
    )
}

/// The figures that one looks for first.
fn tiles(round: &Round) -> String {
    let count: u64 = round.operations.iter().map(|operation| operation.count).sum();
    let errors: u64 = round.operations.iter().flat_map(|operation| operation.errors.values()).sum();
    let worst = |figure: fn(&Latency) -> f64| {
        let all = round.operations.iter().filter_map(|operation| operation.latency.as_ref());
        all.map(figure).reduce(f64::max)
    };
    let latency = |us: Option<f64>| us.map_or(NONE.to_owned(), time);
    let tiles = [
        ("operations a second", number(count as f64 / round.seconds)),
        ("p50, slowest operation", latency(worst(|latency| latency.p50_us))),
        ("p99, slowest operation", latency(worst(|latency| latency.p99_us))),
        ("errors", number(errors as f64)),
        ("generator busy", format!("{:.0} %", 100.0 * round.generator_busy)),
    ];
    let tiles = tiles.map(|(name, value)| format!("<div><b>{value}</b><span>{name}</span></div>"));
    format!("<section class=\"tiles\">{}</section>\n", tiles.join(""))
}

fn table(round: &Round) -> String {
    let mut rows = String::new();
    for operation in &round.operations {
        let OperationFound { name, per_second, errors, latency, .. } = operation;
        let errors: Vec<String> = errors.iter().map(|(code, count)| format!("{count} × {code}")).collect();
        rows += &format!("<tr><th>{}</th><td>{}</td>", escape(name), number(*per_second));
        match latency {
            Some(latency) => {
                let Latency { p50_us, p90_us, p99_us, p999_us, p9999_us, max_us, .. } = *latency;
                for us in [p50_us, p90_us, p99_us, p999_us, p9999_us, max_us] {
                    rows += &format!("<td>{}</td>", time(us));
                }
            }
            None => rows += &format!("<td>{NONE}</td>").repeat(6),
        }
        let errors = if errors.is_empty() { "0".to_owned() } else { errors.join(", ") };
        rows += &format!("<td>{errors}</td></tr>\n");
    }
    let lateness = round.lateness.map_or(String::new(), |lateness| {
        format!(
            "<p>The generator sent {} of all requests within {} of their time, the latest after {}.</p>\n",
            "99.9 %",
            time(lateness.p999_us),
            time(lateness.max_us)
        )
    });
    format!(
        "<table><tr><th>operation</th><th>a second</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th>\
         <th>p99.99</th><th>max</th><th>errors</th></tr>\n{rows}</table>\n{lateness}"
    )
}

fn percentiles(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    let (mut min, mut max, mut most) = (f64::MAX, 0.0f64, 1u64);
    for round in &outcome.rounds {
        for (color, operation) in round.operations.iter().enumerate().filter(|(_, found)| found.count > 0) {
            most = most.max(operation.count);
            let mut points = Vec::new();
            for (quantile, us, _) in &operation.curve {
                (min, max) = (min.min(*us), max.max(*us));
                // The longest of all stands where one of so many does.
                let rest = (1.0 - quantile).max(1.0 / operation.count as f64);
                points.push((1.0 / rest, *us));
            }
            lines.push(Line { name: operation.name.clone(), color, dashed: false, points });
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let nines = (most as f64).log10().ceil().clamp(2.0, 6.0) as i32;
    chart(&Chart {
        title: "Latency by percentile",
        x: Axis::percentiles(nines),
        y: Axis::latency("latency", min, max),
        lines,
        marks: Vec::new(),
    })
}

fn timelines(round: &Round) -> String {
    // What is answered behind the measurement belongs to no whole second of it and has no rate. But it may be what
    // waited longest, so its latencies and errors stand at the end.
    let whole = || round.timeline.iter().filter(|second| second.second as f64 + 1.0 <= round.planned);
    let seconds = || Axis::time("seconds", round.planned);
    let at = |second: u64| (second as f64 + 0.5).min(round.planned);
    let mut page = String::new();
    if !round.faults.is_empty() {
        let item = |(at, what): &(f64, String)| format!("<li>{at:.1} s: {}</li>", escape(what));
        let items: String = round.faults.iter().map(item).collect();
        page += &format!("<p>What befell the servers, as marked in red below:</p><ol>{items}</ol>\n");
    }

    let rate =
        |index: usize| whole().map(move |second| (at(second.second), second.counts[index] as f64)).collect();
    let lines: Vec<Line> = round
        .operations
        .iter()
        .enumerate()
        .map(|(index, operation)| Line {
            name: operation.name.clone(),
            color: index,
            dashed: false,
            points: rate(index),
        })
        .collect();
    page += &of_lines("Operations each second", seconds(), |max| Axis::linear("a second", max), lines, round);

    let latency = |name: &str, color, figure: fn(&Latency) -> f64| Line {
        name: name.to_owned(),
        color,
        dashed: false,
        points: (round.timeline.iter())
            .filter_map(|second| Some((at(second.second), figure(second.latency.as_ref()?))))
            .collect(),
    };
    let lines = vec![
        latency("p50", 0, |latency| latency.p50_us),
        latency("p99", 4, |latency| latency.p99_us),
        latency("p99.9", 1, |latency| latency.p999_us),
        latency("max", 7, |latency| latency.max_us),
    ];
    let least = lines[0].points.iter().map(|point| point.1).fold(f64::MAX, f64::min);
    let axis = |max| Axis::latency("latency", least, max);
    page += &of_lines("Latency in each second, all operations", seconds(), axis, lines, round);

    let errors = Line {
        name: "errors".to_owned(),
        color: 1,
        dashed: false,
        points: round.timeline.iter().map(|second| (at(second.second), second.errors as f64)).collect(),
    };
    if errors.points.iter().any(|point| point.1 > 0.0) {
        let axis = |max| Axis::linear("errors", max);
        page += &of_lines("Errors in each second", seconds(), axis, vec![errors], round);
    }
    page + &servers(round, &seconds)
}

fn servers(round: &Round, seconds: &dyn Fn() -> Axis) -> String {
    let mut names: Vec<&str> = Vec::new();
    for sample in &round.servers {
        if !names.contains(&sample.server.as_str()) {
            names.push(&sample.server);
        }
    }
    let lines = |figure: fn(&super::target::ServerSample) -> f64| -> Vec<Line> {
        let line = |(color, name): (usize, &&str)| Line {
            name: (*name).to_owned(),
            color,
            dashed: false,
            points: round
                .servers
                .iter()
                .filter(|sample| sample.server == **name)
                .map(|sample| (sample.second, figure(sample)))
                .collect(),
        };
        names.iter().enumerate().map(line).collect()
    };
    if names.is_empty() {
        return String::new();
    }
    let cpu = |max| Axis::linear("% of a CPU", max);
    let memory = |max| Axis::linear("MiB", max);
    let bytes = |max| Axis::linear("MiB a second", max);
    of_lines("CPU of the servers", seconds(), cpu, lines(|sample| 100.0 * sample.cpu), round)
        + &of_lines(
            "Resident memory of the servers",
            seconds(),
            memory,
            lines(|sample| sample.resident_mib),
            round,
        )
        + &of_lines("Written to the disk", seconds(), bytes, lines(|sample| sample.written_mib), round)
}

fn of_lines(title: &str, x: Axis, y: impl FnOnce(f64) -> Axis, lines: Vec<Line>, round: &Round) -> String {
    let max = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let marks = (1..).zip(&round.faults).map(|(number, (at, _))| (*at, format!("{number}"))).collect();
    chart(&Chart { title, x, y: y(max), lines, marks })
}

/// A latency as people read it.
fn time(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", number(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", number(us / 1e3)),
        us => format!("{} µs", number(us)),
    }
}

fn host_line(host: &serde_json::Value) -> String {
    let text = |name: &str| match &host[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let disk = host["disk"]["file_system"].as_str().unwrap_or("unknown");
    format!(
        "{} CPUs ({}), {} MiB, Linux {}, data on {disk}; commit {}",
        text("cpus"),
        text("cpu"),
        text("memory_mib"),
        text("kernel"),
        text("commit")
    )
}

const READS_AS: &str = "\
In an open loop (a rate is given) latency counts from when a request was to be sent, so a stall is charged to \
all that it kept waiting. In a closed loop it counts from just before sending, and a stall shows only in what \
was in flight. Where the generator is busy near 100 %, the servers could do more. Hover a line for its name.";

const STYLE: &str = "\
body{margin:0;background:#f4f5f7;color:#1c2330;font:15px/1.5 system-ui,sans-serif}\
main{max-width:920px;margin:0 auto;padding:28px 24px 40px}\
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:28px 0 8px}\
.lead{font-size:16px;margin:0 0 4px}p{margin:4px 0}\
pre{background:#e8eaee;padding:8px 12px;border-radius:6px;white-space:pre-wrap;font-size:13px}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:16px 0}\
.tiles div{background:#fff;border-radius:8px;padding:12px 14px;box-shadow:0 1px 2px #0002}\
.tiles b{display:block;font-size:22px}.tiles span{color:#5a6475;font-size:13px}\
table{width:100%;border-collapse:collapse;background:#fff;border-radius:8px;box-shadow:0 1px 2px #0002;\
font-variant-numeric:tabular-nums}\
td,th{padding:6px 10px;text-align:right;border-bottom:1px solid #e8eaee;font-weight:400}\
th:first-child{text-align:left}tr:first-child th{color:#5a6475;font-size:13px}\
tr:last-child td,tr:last-child th{border-bottom:0}\
figure{background:#fff;margin:16px 0;padding:14px 16px 10px;border-radius:8px;box-shadow:0 1px 2px #0002}\
figcaption{font-weight:600;margin-bottom:4px}svg{width:100%;height:auto;display:block}\
svg text{font-size:12px;fill:#5a6475}.grid{stroke:#e8eaee}.line{fill:none;stroke-width:2}\
ol{margin:4px 0;color:#c0392b}line.mark{stroke:#c0392b;stroke-dasharray:3 3}svg text.mark{fill:#c0392b}\
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px}\
.legend i{display:inline-block;width:22px;margin-right:6px;vertical-align:middle}\
.warning{color:#c0392b;font-weight:600}footer{color:#5a6475;font-size:13px;margin-top:24px}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::outcome::tests::outcome;
    use crate::latency::Recorder;
    use crate::recording::Second;

    #[test]
    fn what_was_answered_only_behind_the_measurement_shows_among_the_latencies() {
        let second = |second, ms: u64| {
            let mut recorder = Recorder::new();
            recorder.record(ms * 1_000_000);
            Second { second, counts: vec![1], errors: 0, latency: recorder.summary() }
        };
        let mut round = outcome(vec![Vec::new()]).rounds.remove(0);
        round.timeline = vec![second(0, 2)];
        assert!(!timelines(&round).contains(">1 s<"), "no axis goes so far");
        round.timeline.push(second(1, 950));
        assert!(timelines(&round).contains(">1 s<"), "an axis goes as far as what waited longest");
    }
}
