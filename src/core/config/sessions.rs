use super::AnyKey;
use super::error::{ConfigError, Problem};
use super::key_table::connections::SESSIONLESS_TIMEOUT;
use super::key_table::parser::{MAX_SESSION_TIMEOUT, MIN_SESSION_TIMEOUT, TICK_TIME};
use super::settings::Settings;

/// Sessions, and the server's grain of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// `tickTime`, at least 1: sessions expire at its multiples.
    pub tick_ms: u32,
    /// `minSessionTimeout`, else two ticks. May be zero or below, which raises no session's timeout.
    pub min_timeout_ms: i32,
    /// `maxSessionTimeout`, else twenty ticks; at least 1 and not below the minimum.
    pub max_timeout_ms: i32,
    /// `nio.sessionlessCnxnTimeout`, at least 1: how long a connection may take to ask for a session.
    pub handshake_ms: u64,
}

impl Sessions {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Sessions, ConfigError> {
        let tick_ms = settings.get(&TICK_TIME)?;
        if tick_ms == 0 {
            return Err(settings.error(&TICK_TIME, Problem::TickTimeNotSet));
        }
        let or_ticks = |given_ms: i32, ticks: i32| match given_ms {
            -1 => tick_ms.saturating_mul(ticks),
            given_ms => given_ms,
        };
        let min_timeout_ms = or_ticks(settings.get(&MIN_SESSION_TIMEOUT)?, MIN_TICKS);
        let max_timeout_ms = or_ticks(settings.get(&MAX_SESSION_TIMEOUT)?, MAX_TICKS);
        if tick_ms > 0 && min_timeout_ms > max_timeout_ms {
            let (min, max) = (min_timeout_ms, max_timeout_ms);
            return Err(settings.whole(Problem::SessionTimeouts { min, max }));
        }
        Ok(Sessions {
            tick_ms: at_least_one(settings, &TICK_TIME, tick_ms.into())? as u32,
            min_timeout_ms,
            max_timeout_ms: at_least_one(settings, &MAX_SESSION_TIMEOUT, max_timeout_ms.into())? as i32,
            handshake_ms: settings.get(&SESSIONLESS_TIMEOUT)? as u64,
        })
    }
}

fn at_least_one(settings: &Settings<'_>, key: &dyn AnyKey, value: i64) -> Result<i64, ConfigError> {
    if value < 1 {
        let problem = Problem::OutOfBounds { value, allowed: "at least 1".to_owned() };
        return Err(settings.error(key, problem));
    }
    Ok(value)
}

const MIN_TICKS: i32 = 2;
const MAX_TICKS: i32 = 20;
