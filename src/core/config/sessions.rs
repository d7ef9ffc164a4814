use super::error::{ConfigError, Problem};
use super::key_table::parser::{MAX_SESSION_TIMEOUT, MIN_SESSION_TIMEOUT, TICK_TIME};
use super::settings::Settings;

/// The tick, and what timeouts sessions may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// `tickTime`, at least 1: sessions expire at its multiples.
    pub tick_time_ms: i32,
    /// `minSessionTimeout`: a shorter timeout is raised to this. May be zero or below, which raises none.
    pub timeout_min_ms: i32,
    /// `maxSessionTimeout`, not below the minimum and at least 1: a longer timeout is lowered to this.
    pub timeout_max_ms: i32,
}

impl Sessions {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Sessions, ConfigError> {
        let tick_time_ms = settings.get(&TICK_TIME)?;
        if tick_time_ms == 0 {
            return Err(settings.error(&TICK_TIME, Problem::TickTimeNotSet));
        }
        at_least_one(settings, &TICK_TIME, tick_time_ms)?;
        let or_ticks = |given_ms: i32, ticks: i32| match given_ms {
            -1 => tick_time_ms.saturating_mul(ticks),
            given_ms => given_ms,
        };
        let timeout_min_ms = or_ticks(settings.get(&MIN_SESSION_TIMEOUT)?, MIN_TICKS);
        let timeout_max_ms = or_ticks(settings.get(&MAX_SESSION_TIMEOUT)?, MAX_TICKS);
        if timeout_min_ms > timeout_max_ms {
            let (min, max) = (timeout_min_ms, timeout_max_ms);
            return Err(settings.whole(Problem::SessionTimeouts { min, max }));
        }
        at_least_one(settings, &MAX_SESSION_TIMEOUT, timeout_max_ms)?;
        Ok(Sessions { tick_time_ms, timeout_min_ms, timeout_max_ms })
    }
}

fn at_least_one(settings: &Settings<'_>, key: &dyn super::AnyKey, value: i32) -> Result<(), ConfigError> {
    if value < 1 {
        let (value, allowed) = (value.into(), "at least 1".to_owned());
        return Err(settings.error(key, Problem::OutOfBounds { value, allowed }));
    }
    Ok(())
}

const MIN_TICKS: i32 = 2;
const MAX_TICKS: i32 = 20;
