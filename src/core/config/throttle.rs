use super::error::ConfigError;
use super::key_table::connections::{
    REQUEST_DROP_STALE, REQUEST_STALL_TIME, REQUESTS_MAX, STALE_CONNECTION_CHECK, STALE_LATENCY_CHECK,
    THROTTLE_DECREASE_RATIO, THROTTLE_DROP_DECREASE, THROTTLE_DROP_INCREASE, THROTTLE_FILL_COUNT,
    THROTTLE_FILL_TIME, THROTTLE_FREEZE_TIME, THROTTLE_GLOBAL_WEIGHT, THROTTLE_LOCAL_WEIGHT,
    THROTTLE_RENEW_WEIGHT, THROTTLE_TOKENS, THROTTLE_WEIGHT_ENABLED, THROTTLED_OP_WAIT_TIME,
};
use super::settings::Settings;

/// How many clients may connect (`connection_throttle_*`, config §6): a bucket of tokens, of which each takes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionThrottle {
    /// `connection_throttle_tokens`: what the bucket holds, at least 1.
    pub tokens_max: u64,
    /// `connection_throttle_fill_count`: what comes in, in each [`ConnectionThrottle::fill_time_ms`].
    pub fill_count: u64,
    /// `connection_throttle_fill_time`, at least 1.
    pub fill_time_ms: u64,
    /// `connection_throttle_freeze_time`: how long the share of clients that are turned away at random stays at
    /// least what it is; `None` if there is none.
    pub freeze_time_ms: Option<u64>,
    /// `connection_throttle_drop_increase`, in millionths.
    pub drop_increase: u32,
    /// `connection_throttle_drop_decrease`, in millionths.
    pub drop_decrease: u32,
    /// `connection_throttle_decrease_ratio`, in millionths: the share falls while no larger part of the tokens is
    /// gone.
    pub decrease_ratio: u32,
    /// What a client takes.
    pub weights: ThrottleWeights,
}

/// How many tokens a client takes: one, unless `connection_throttle_weight_enabled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleWeights {
    /// For a new session: `connection_throttle_global_session_weight`.
    pub new: u64,
    /// The same where new sessions are local: `connection_throttle_local_session_weight`.
    pub local: u64,
    /// For one that it has: `connection_throttle_renew_session_weight`.
    pub renewed: u64,
}

/// How many requests may be in process (`request_throttle_*`, config §6); others wait in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestThrottle {
    /// `request_throttle_max_requests`, at least 1.
    pub requests_max: usize,
    /// `request_throttle_stall_time`: how often the first in line is looked at while no other is done; `None` if only
    /// then.
    pub stall_time_ms: Option<u64>,
    /// `request_throttle_drop_stale`: what is [`Stale`] is not passed on.
    pub drop_stale: bool,
    /// `throttled_op_wait_time`: a request that was longer in line fails; `None` if none does.
    pub op_wait_ms: Option<u64>,
}

/// Which requests are stale: nobody is thought to wait for them any more. One that closes a session never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// `request_stale_connection_check`: those whose connection is closed.
    pub closed_connection: bool,
    /// `request_stale_latency_check`: those older than their session's timeout.
    pub session_timeout: bool,
}

impl RequestThrottle {
    /// `None` if any number of requests may be in process.
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Option<RequestThrottle>, ConfigError> {
        let throttle = RequestThrottle {
            requests_max: positive(settings.get(&REQUESTS_MAX)?).unwrap_or(0) as usize,
            stall_time_ms: positive(settings.get(&REQUEST_STALL_TIME)?),
            drop_stale: settings.get(&REQUEST_DROP_STALE)?,
            op_wait_ms: positive(settings.get(&THROTTLED_OP_WAIT_TIME)?),
        };
        Ok(Some(throttle).filter(|throttle| throttle.requests_max > 0))
    }

    /// The part of one of so many cores that count for themselves.
    #[must_use]
    pub fn part_of(self, parts: usize) -> RequestThrottle {
        RequestThrottle { requests_max: (self.requests_max / parts.max(1)).max(1), ..self }
    }
}

impl Stale {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Stale, ConfigError> {
        Ok(Stale {
            closed_connection: settings.get(&STALE_CONNECTION_CHECK)?,
            session_timeout: settings.get(&STALE_LATENCY_CHECK)?,
        })
    }
}

impl Default for Stale {
    fn default() -> Self {
        Stale { closed_connection: true, session_timeout: false }
    }
}

impl ConnectionThrottle {
    /// `None` if clients connect as they like.
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Option<ConnectionThrottle>, ConfigError> {
        let tokens = settings.get(&THROTTLE_TOKENS)?;
        if tokens <= 0 {
            return Ok(None);
        }
        let (mut weights, mut scale) = (ThrottleWeights { new: 1, local: 1, renewed: 1 }, 1);
        if settings.get(&THROTTLE_WEIGHT_ENABLED)? {
            let global = settings.get(&THROTTLE_GLOBAL_WEIGHT)?;
            let local = settings.get(&THROTTLE_LOCAL_WEIGHT)?;
            let renewed = settings.get(&THROTTLE_RENEW_WEIGHT)?;
            // None weighs less than a local one. The numbers of tokens are thought of as global sessions.
            let (new, renewed) = (at_least(global, local, 3), at_least(renewed, local, 2));
            (weights, scale) = (ThrottleWeights { new, local: at_least(local, local, 1), renewed }, new);
        }
        let freeze_time_ms = settings.get(&THROTTLE_FREEZE_TIME)?;
        Ok(Some(ConnectionThrottle {
            tokens_max: tokens as u64 * scale,
            fill_count: settings.get(&THROTTLE_FILL_COUNT)?.max(0) as u64 * scale,
            fill_time_ms: settings.get(&THROTTLE_FILL_TIME)?.max(1) as u64,
            freeze_time_ms: (freeze_time_ms != -1).then_some(freeze_time_ms.max(0) as u64),
            drop_increase: settings.get(&THROTTLE_DROP_INCREASE)?,
            drop_decrease: settings.get(&THROTTLE_DROP_DECREASE)?,
            decrease_ratio: settings.get(&THROTTLE_DECREASE_RATIO)?,
            weights,
        }))
    }

    /// The same where new sessions are local.
    #[must_use]
    pub fn of_local_sessions(self) -> ConnectionThrottle {
        let weights = ThrottleWeights { new: self.weights.local, ..self.weights };
        ConnectionThrottle { weights, ..self }
    }

    /// One of so many equal parts of it.
    #[must_use]
    pub fn part_of(self, parts: usize) -> ConnectionThrottle {
        let parts = parts.max(1) as u64;
        ConnectionThrottle {
            tokens_max: self.tokens_max.div_ceil(parts).max(self.weights.new).max(self.weights.renewed),
            fill_time_ms: self.fill_time_ms * parts,
            ..self
        }
    }
}

fn positive(value: i32) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// What is below 1 counts as `usual`, what is lighter than a local session as that.
fn at_least(weight: i32, local: i32, usual: i32) -> u64 {
    let weight = if weight <= 0 { usual } else { weight.max(local) };
    weight.max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{config, error};

    fn proven(text: &str) -> ConnectionThrottle {
        config(text).limits.connection_throttle.expect("there is one")
    }

    #[test]
    fn without_tokens_there_is_no_throttle() {
        assert_eq!(config("").limits.connection_throttle, None);
        assert_eq!(config("connection_throttle_fill_count=7").limits.connection_throttle, None);
    }

    #[test]
    fn tokens_are_counted_in_the_heaviest_sessions() {
        let even = proven("connection_throttle_tokens=10\nconnection_throttle_freeze_time=500");
        assert_eq!((even.tokens_max, even.fill_count, even.fill_time_ms), (10, 1, 1));
        assert_eq!((even.freeze_time_ms, even.drop_increase), (Some(500), 20_000));
        assert_eq!(even.weights, ThrottleWeights { new: 1, local: 1, renewed: 1 });

        let weighed = "connection_throttle_tokens=10\nconnection_throttle_weight_enabled=true\n";
        let global = proven(weighed);
        assert_eq!((global.tokens_max, global.fill_count), (30, 3));
        assert_eq!(global.weights, ThrottleWeights { new: 3, local: 1, renewed: 2 });
        assert_eq!(global.of_local_sessions().weights.new, 1);
        let heavy = proven(&format!("{weighed}connection_throttle_local_session_weight=5"));
        assert_eq!(
            heavy.weights,
            ThrottleWeights { new: 5, local: 5, renewed: 5 },
            "none is lighter than a local one"
        );
    }

    #[test]
    fn parts_let_as_many_in_together() {
        let part = proven("connection_throttle_tokens=10\nconnection_throttle_fill_time=20").part_of(4);
        assert_eq!((part.tokens_max, part.fill_count, part.fill_time_ms), (3, 1, 80));
    }

    #[test]
    fn requests_are_limited_where_a_number_is_given() {
        let limits = |text: &str| config(text).limits;
        assert_eq!(limits("throttled_op_wait_time=7").request_throttle, None);
        assert_eq!(limits("request_throttle_max_requests=-1").request_throttle, None);
        assert_eq!(limits("request_stale_connection_check=false").stale, STALE_NEVER);
        let usual = limits("request_throttle_max_requests=9").request_throttle.expect("there is one");
        let expected =
            RequestThrottle { requests_max: 9, stall_time_ms: Some(100), drop_stale: true, op_wait_ms: None };
        assert_eq!(usual, expected);
        assert_eq!((usual.part_of(2).requests_max, usual.part_of(20).requests_max), (4, 1));
        let all = limits(
            "request_throttle_max_requests=1\nrequest_throttle_stall_time=-5\nrequest_throttle_drop_stale=false\n\
             throttled_op_wait_time=7\nrequest_stale_latency_check=true",
        );
        let expected =
            RequestThrottle { requests_max: 1, stall_time_ms: None, drop_stale: false, op_wait_ms: Some(7) };
        assert_eq!(all.request_throttle, Some(expected));
        assert!(all.stale.session_timeout && all.stale.closed_connection);
    }

    const STALE_NEVER: Stale = Stale { closed_connection: false, session_timeout: false };

    #[test]
    fn a_share_that_is_no_number_is_refused() {
        let refused = error("connection_throttle_drop_increase=some");
        assert!(refused.contains("connection_throttle_drop_increase"), "{refused}");
    }
}
