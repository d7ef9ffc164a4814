//! Medians over the rounds, and how far the rounds spread.

use serde::Serialize;

use crate::latency::Latency;
use crate::load::{Measured, Operation, Shape};
use crate::server::Subject;

/// One figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Which load on which subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Case {
    pub(crate) subject: Subject,
    pub(crate) operation: Operation,
    pub(crate) shape: Shape,
    pub(crate) at: At,
}

/// Which servers the clients of a load are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum At {
    /// The only one.
    Only,
    /// All of an ensemble, in turn.
    All,
    /// An ensemble's leader.
    Leader,
    /// One of an ensemble's followers.
    Follower,
}

/// What one case came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) case: Case,
    pub(crate) per_second: Spread,
    pub(crate) latency: Percentiles,
    /// CPU time of the server, in µs, for each request.
    pub(crate) cpu_us: Spread,
    /// The part of that spent in the kernel; absent where the timer never ticked on the server.
    pub(crate) kernel_share: Option<Spread>,
    pub(crate) context_switches: Spread,
    pub(crate) written_bytes: Spread,
    pub(crate) resident_mib: Spread,
    /// CPU time by wall-clock time: 1 is one CPU without a pause.
    pub(crate) server_busy: Spread,
    pub(crate) generator_busy: Spread,
    /// The part of the whole machine that neither server nor generator used, and that was not idle.
    pub(crate) others_busy: Spread,
}

/// Latencies, in µs.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_us: Spread,
    pub(crate) p90_us: Spread,
    pub(crate) p99_us: Spread,
    pub(crate) p999_us: Spread,
    pub(crate) max_us: Spread,
}

/// Everything that was found, case by case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) cases: Vec<Figures>,
    pub(crate) disk: Option<Percentiles>,
}

impl Summary {
    /// Sums up what the rounds found, in the order in which the cases first came.
    pub(crate) fn of(found: &[(Case, Measured)], disk: &[Latency]) -> Summary {
        let mut order: Vec<Case> = Vec::new();
        for (case, _) in found {
            if !order.contains(case) {
                order.push(*case);
            }
        }
        let cases = order
            .into_iter()
            .map(|case| {
                let rounds = found.iter().filter(|(other, _)| *other == case);
                Figures::of(case, &rounds.map(|(_, measured)| measured).collect::<Vec<_>>())
            })
            .collect();
        let disk = (!disk.is_empty()).then(|| Percentiles::of(disk));
        Summary { cases, disk }
    }

    /// The figures of a load on a single server, if it was measured.
    pub(crate) fn get(&self, subject: Subject, operation: Operation, shape: Shape) -> Option<&Figures> {
        self.of_case(Case { subject, operation, shape, at: At::Only })
    }

    /// The figures of one case, if it was measured.
    pub(crate) fn of_case(&self, case: Case) -> Option<&Figures> {
        self.cases.iter().find(|figures| figures.case == case)
    }
}

impl Case {
    /// The load, whatever it is on.
    pub(crate) fn load(&self) -> String {
        let Case { operation, shape, at, .. } = self;
        match at {
            At::Only | At::All => format!("{operation} {shape}"),
            At::Leader => format!("{operation} {shape}, leader"),
            At::Follower => format!("{operation} {shape}, follower"),
        }
    }
}

impl Figures {
    fn of(case: Case, rounds: &[&Measured]) -> Figures {
        let spread = |figure: &dyn Fn(&Measured) -> f64| {
            Spread::of(rounds.iter().map(|round| figure(round)).collect())
        };
        let each = |total: u64, round: &Measured| total as f64 / round.requests as f64;
        let kernel_shares: Vec<f64> = rounds.iter().filter_map(|round| round.server.kernel_share).collect();
        let latencies: Vec<Latency> = rounds.iter().map(|round| round.latency).collect();
        Figures {
            case,
            per_second: spread(&|round| round.requests as f64 / round.seconds),
            latency: Percentiles::of(&latencies),
            cpu_us: spread(&|round| each(round.server.cpu_ns, round) / 1e3),
            kernel_share: (!kernel_shares.is_empty()).then(|| Spread::of(kernel_shares)),
            context_switches: spread(&|round| each(round.server.context_switches, round)),
            written_bytes: spread(&|round| each(round.server.written_bytes, round)),
            resident_mib: spread(&|round| round.server.resident_bytes as f64 / f64::from(1 << 20)),
            server_busy: spread(&|round| round.server.cpu_ns as f64 / 1e9 / round.seconds),
            generator_busy: spread(&|round| round.generator_cpu_ns as f64 / 1e9 / round.seconds),
            others_busy: spread(&|round| round.others_busy),
        }
    }
}

impl Percentiles {
    fn of(rounds: &[Latency]) -> Percentiles {
        let spread = |figure: fn(&Latency) -> f64| Spread::of(rounds.iter().map(figure).collect());
        Percentiles {
            p50_us: spread(|latency| latency.p50_us),
            p90_us: spread(|latency| latency.p90_us),
            p99_us: spread(|latency| latency.p99_us),
            p999_us: spread(|latency| latency.p999_us),
            max_us: spread(|latency| latency.max_us),
        }
    }
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of_any(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let values: Vec<f64> = values.collect();
        (!values.is_empty()).then(|| Spread::of(values))
    }

    /// Of at least one value. With an even number of them, the median is the mean of the middle two.
    pub(crate) fn of(mut values: Vec<f64>) -> Spread {
        assert!(!values.is_empty(), "a case that is summed up was measured");
        values.sort_by(f64::total_cmp);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Spread { median: f64::midpoint(below, above), min: values[0], max: values[values.len() - 1] }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::process::Usage;

    #[test]
    fn the_median_is_the_middle_and_the_spread_the_ends() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 10.0]), Spread { median: 3.0, min: 1.0, max: 10.0 });
        assert_eq!(Spread::of(vec![4.0, 2.0]), Spread { median: 3.0, min: 2.0, max: 4.0 });
        assert_eq!(Spread::of(vec![7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
    }

    #[test]
    fn figures_are_for_each_request_and_by_the_second() {
        let case = case(Subject::Java, Operation::Set, "16x32");
        let summary = Summary::of(
            &[
                (case, measured(1000, 2.0, 3.0)),
                (case, measured(3000, 2.0, 5.0)),
                (case, measured(2000, 2.0, 4.0)),
            ],
            &[],
        );
        let figures = summary.get(case.subject, case.operation, case.shape).unwrap();
        assert_eq!(figures.per_second, Spread { median: 1000.0, min: 500.0, max: 1500.0 });
        assert_eq!(figures.cpu_us.median, 4.0);
        assert_eq!(figures.latency.p50_us.median, 4.0);
        assert_eq!(figures.context_switches.median, 2.0);
        assert_eq!(summary.cases.len(), 1);
        assert!(summary.disk.is_none());
        assert!(summary.get(Subject::Echo, case.operation, case.shape).is_none());
    }

    pub(crate) fn case(subject: Subject, operation: Operation, shape: &str) -> Case {
        Case { subject, operation, shape: shape.parse().unwrap(), at: At::Only }
    }

    /// A measurement in which each request took `us` of time and of CPU.
    pub(crate) fn measured(requests: u64, seconds: f64, us: f64) -> Measured {
        let server = Usage {
            cpu_ns: (us * 1e3) as u64 * requests,
            kernel_share: Some(0.5),
            context_switches: 2 * requests,
            written_bytes: 0,
            resident_bytes: 1 << 20,
            device: None,
        };
        let generator_cpu_ns = 0;
        Measured { requests, seconds, latency: latency(us), server, generator_cpu_ns, others_busy: 0.0 }
    }

    pub(crate) fn latency(us: f64) -> Latency {
        Latency {
            count: 1,
            min_us: us,
            mean_us: us,
            p50_us: us,
            p90_us: us,
            p99_us: us,
            p999_us: us,
            p9999_us: us,
            max_us: us,
        }
    }
}
