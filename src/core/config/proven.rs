use std::collections::BTreeSet;
use std::path::PathBuf;

use super::error::{ConfigError, Warning};
use super::keys::{Key, Place, Status};
use super::numbers::{decode_long, parse_int};
use super::raw::{Raw, Setting};
use super::servers::refuse_ensembles;

/// A configuration whose every value has been checked.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each group says what it holds")]
pub struct Config {
    pub storage: Storage,
    pub client_port: ClientPort,
    pub sessions: Sessions,
    pub limits: Limits,
    pub security: Security,
    pub containers: Containers,
    pub admin: Admin,
    pub layout: Layout,
}

/// Where data lies and how it is written.
#[derive(Clone, Debug)]
pub struct Storage {
    /// `dataDir`.
    pub data_dir: PathBuf,
    /// `dataLogDir`, or the same.
    pub data_log_dir: PathBuf,
    /// `preAllocSize`, in bytes: how much of the log is prepared ahead.
    pub segment_bytes: u64,
    /// `forceSync`: whether a write must reach the device before it is acknowledged.
    pub force_sync: bool,
    /// `fsync.warningthresholdms`.
    pub sync_warning_ms: u64,
    /// `datadir.autocreate`: whether missing folders are made.
    pub autocreate: bool,
}

/// Where clients connect.
#[derive(Clone, Debug)]
pub struct ClientPort {
    /// `clientPortAddress`: a host or address; `None` is every interface.
    pub host: Option<String>,
    /// `clientPort`; 0 leaves the choice to the kernel.
    pub port: u16,
    /// `clientPortListenBacklog`, or -1 for the default.
    pub backlog: i32,
    /// `clientTcpKeepAlive`.
    pub keep_alive: bool,
}

/// Sessions and the server's grain of time.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// `tickTime`.
    pub tick_ms: u32,
    /// `minSessionTimeout`, or two ticks.
    pub min_timeout_ms: i32,
    /// `maxSessionTimeout`, or twenty ticks.
    pub max_timeout_ms: i32,
    /// `nio.sessionlessCnxnTimeout`: how long a connection may take to ask for a session.
    pub handshake_ms: u64,
}

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `maxClientCnxns`: connections from one address; 0 is no limit.
    pub connections_per_client: usize,
    /// `maxCnxns`: connections in all; 0 is no limit.
    pub connections: usize,
    /// `jute.maxbuffer`: the longest frame, in bytes.
    pub frame_bytes: usize,
    /// `globalOutstandingLimit`.
    pub outstanding: usize,
}

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Security {
    /// `skipACL=yes`.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.superDigest`.
    pub super_digest: Option<String>,
    /// `DigestAuthenticationProvider.digestAlg`, a name as Java's security providers have it.
    pub digest_algorithm: String,
    /// `enforce.auth.schemes` if `enforce.auth.enabled`, else none.
    pub enforced_schemes: Vec<String>,
    /// `enforceQuota`.
    pub enforce_quota: bool,
    /// `extendedTypesEnabled`.
    pub extended_types: bool,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
}

/// When empty containers and outlived TTL nodes go.
#[derive(Clone, Copy, Debug)]
pub struct Containers {
    /// `znode.container.checkIntervalMs`.
    pub check_interval_ms: u64,
    /// `znode.container.maxPerMinute`.
    pub max_per_minute: u32,
    /// `znode.container.maxNeverUsedIntervalMs`; 0 is never.
    pub max_never_used_ms: u64,
}

/// What operators may ask.
#[derive(Clone, Debug)]
pub struct Admin {
    /// `4lw.commands.whitelist`; `None` is `*`.
    words: Option<BTreeSet<String>>,
}

/// `ringkeeper.layout`, `ringkeeper.shards`, `ringkeeper.cpus`: which role runs where.
#[derive(Clone, Debug)]
pub struct Layout {
    /// How roles are dealt to executors.
    pub kind: LayoutKind,
    /// How many shards a split layout has; `None` leaves it to the number of CPUs.
    pub shards: Option<usize>,
    /// The CPUs that the executors stay on, in order; none leaves them to the kernel.
    pub cpus: Vec<usize>,
}

/// How roles are dealt to executors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutKind {
    /// By the number of CPUs.
    Auto,
    /// All on one.
    Single,
    /// One for the log, one for the commit role, one for each shard.
    Split,
}

impl Admin {
    /// Whether this four-letter word is answered.
    pub fn allows_word(&self, word: &str) -> bool {
        self.words.as_ref().is_none_or(|words| words.contains(word))
    }
}

impl Config {
    /// Checks what was written; `myid` is the content of that file, if there is one.
    pub fn prove(raw: &Raw, myid: Option<&str>) -> Result<(Config, Vec<Warning>), ConfigError> {
        let mut proof = Proof { raw, warnings: Vec::new() };
        proof.warn_of_keys();
        let standalone_enabled = proof.strict_bool("standaloneEnabled", true)?;
        refuse_ensembles(raw, standalone_enabled, &mut proof.warnings)?;
        check_myid(raw, myid)?;
        proof.check_ensemble_words()?;
        let config = Config {
            storage: proof.storage()?,
            client_port: proof.client_port()?,
            sessions: proof.sessions()?,
            limits: proof.limits()?,
            security: proof.security()?,
            containers: proof.containers(),
            admin: proof.admin(),
            layout: proof.layout()?,
        };
        Ok((config, proof.warnings))
    }
}

/// The work of [`Config::prove`].
struct Proof<'a> {
    raw: &'a Raw,
    warnings: Vec<Warning>,
}

impl Proof<'_> {
    fn storage(&mut self) -> Result<Storage, ConfigError> {
        let folder = |name| self.raw.parser_key(name).map(|setting| setting.value);
        let missing = || ConfigError::Missing { file: self.raw.file().to_owned(), name: "dataDir" };
        let data_dir = folder("dataDir").filter(|path| !path.is_empty()).ok_or_else(missing)?;
        let data_log_dir = folder("dataLogDir").unwrap_or_else(|| data_dir.clone());
        for path in BTreeSet::from([&data_dir, &data_log_dir]) {
            if !path.starts_with('/') && !path.starts_with("./") {
                let text = format!("{path} is relative. Prepend ./ to indicate that you're sure!");
                self.warnings.push(Warning(text));
            }
        }
        let force_sync = self.property_text("forceSync").is_none_or(|value| value != "no");
        if !force_sync {
            let text = "forceSync=no: acknowledged writes may be lost when the machine fails";
            self.warnings.push(Warning(text.into()));
        }
        let segment_kib = self.property_number("preAllocSize", 64 << 10, SEGMENT_KIB_MIN..=SEGMENT_KIB_MAX);
        Ok(Storage {
            data_dir: data_dir.into(),
            data_log_dir: data_log_dir.into(),
            segment_bytes: segment_kib as u64 * 1024,
            force_sync,
            sync_warning_ms: self.property_number("fsync.warningthresholdms", 1000, 0..=i64::MAX) as u64,
            autocreate: self.property_bool("datadir.autocreate", true),
        })
    }

    fn client_port(&mut self) -> Result<ClientPort, ConfigError> {
        let host = self.raw.parser_key("clientPortAddress").map(|setting| setting.value);
        let Some(setting) = self.raw.parser_key("clientPort") else {
            let reason = match host {
                Some(_) => "clientPortAddress is set but clientPort is not set",
                None => "clientPort is not set: this server would serve nobody",
            };
            return Err(self.contradiction(reason));
        };
        let port = self.strict_int("clientPort", 0)?;
        let port = u16::try_from(port).map_err(|_| bad("clientPort", setting, "a port is 0 to 65535"))?;
        Ok(ClientPort {
            host,
            port,
            backlog: self.strict_int("clientPortListenBacklog", -1)?,
            keep_alive: self.property_bool("clientTcpKeepAlive", false),
        })
    }

    fn sessions(&mut self) -> Result<Sessions, ConfigError> {
        let tick = self.strict_int("tickTime", 3000)?;
        let tick_ms = u32::try_from(tick).ok().filter(|tick| *tick > 0);
        let tick_ms = tick_ms.ok_or_else(|| self.contradiction("tickTime is not set"))?;
        let timeout = |value: i32, ticks: i32| match value {
            -1 => tick.saturating_mul(ticks),
            value => value,
        };
        let min_timeout_ms = timeout(self.strict_int("minSessionTimeout", -1)?, 2);
        let max_timeout_ms = timeout(self.strict_int("maxSessionTimeout", -1)?, 20);
        if min_timeout_ms > max_timeout_ms {
            return Err(self.contradiction("minSessionTimeout must not be larger than maxSessionTimeout"));
        }
        let handshake_ms = self.property_number("nio.sessionlessCnxnTimeout", 10_000, 1..=i64::MAX) as u64;
        Ok(Sessions { tick_ms, min_timeout_ms, max_timeout_ms, handshake_ms })
    }

    fn limits(&mut self) -> Result<Limits, ConfigError> {
        let per_client = self.strict_int("maxClientCnxns", 60)?;
        Ok(Limits {
            connections_per_client: usize::try_from(per_client).unwrap_or(0),
            connections: self.property_number("maxCnxns", 0, 0..=i64::from(i32::MAX)) as usize,
            frame_bytes: self.property_number("jute.maxbuffer", 0xf_ffff, 8..=i64::from(i32::MAX)) as usize,
            outstanding: self.property_number("globalOutstandingLimit", 1000, 1..=i64::from(i32::MAX))
                as usize,
        })
    }

    fn security(&mut self) -> Result<Security, ConfigError> {
        let text = |proof: &Self, name| proof.property_text(name);
        let digest_algorithm =
            text(self, "DigestAuthenticationProvider.digestAlg").unwrap_or_else(|| "SHA1".into());
        let enforced_schemes = match self.property_bool("enforce.auth.enabled", false) {
            false => Vec::new(),
            true => {
                let schemes = text(self, "enforce.auth.schemes").unwrap_or_default();
                let schemes: Vec<String> =
                    schemes.split(',').map(|scheme| scheme.trim().to_lowercase()).collect();
                if schemes.iter().all(String::is_empty) {
                    return Err(self.contradiction(
                        "zookeeper.enforce.auth.enabled is true zookeeper.enforce.auth.schemes must be  \
                         configured.",
                    ));
                }
                if let Some(scheme) =
                    schemes.iter().find(|scheme| !["digest", "ip"].contains(&scheme.as_str()))
                {
                    let reason = format!("Authentication scheme {scheme} is not available.");
                    return Err(self.contradiction(&reason));
                }
                schemes
            }
        };
        Ok(Security {
            skip_acl: text(self, "skipACL").is_some_and(|value| value == "yes"),
            digest_enabled: self.property_bool("DigestAuthenticationProvider.enabled", true),
            super_digest: text(self, "DigestAuthenticationProvider.superDigest"),
            digest_algorithm,
            enforced_schemes,
            enforce_quota: self.property_bool("enforceQuota", false),
            extended_types: self.property_bool("extendedTypesEnabled", false),
            reconfig_enabled: self.strict_bool("reconfigEnabled", false)?,
        })
    }

    fn containers(&mut self) -> Containers {
        let longest = i64::from(i32::MAX);
        Containers {
            check_interval_ms: self.property_number("znode.container.checkIntervalMs", 60_000, 1..=longest)
                as u64,
            max_per_minute: self.property_number("znode.container.maxPerMinute", 10_000, 1..=longest) as u32,
            max_never_used_ms: self.property_number("znode.container.maxNeverUsedIntervalMs", 0, 0..=i64::MAX)
                as u64,
        }
    }

    fn admin(&mut self) -> Admin {
        let list = self.property_text("4lw.commands.whitelist").unwrap_or_default();
        let named: BTreeSet<String> = list.split(',').map(|word| word.trim().to_owned()).collect();
        let words = (!named.contains("*")).then(|| {
            let mut words = named;
            words.remove("");
            words.insert("srvr".to_owned());
            words
        });
        Admin { words }
    }

    fn layout(&mut self) -> Result<Layout, ConfigError> {
        let kind = match self.raw.property("ringkeeper.layout") {
            None => LayoutKind::Auto,
            Some(setting) => match setting.value.as_str() {
                "auto" => LayoutKind::Auto,
                "single" => LayoutKind::Single,
                "split" => LayoutKind::Split,
                _ => return Err(bad("ringkeeper.layout", setting, "choose auto, single or split")),
            },
        };
        let shards = self.raw.property("ringkeeper.shards").map(|setting| {
            let shards = setting.value.parse().ok().filter(|shards| (1..=SHARDS_MAX).contains(shards));
            shards.ok_or_else(|| bad("ringkeeper.shards", setting, "a number from 1 to 64"))
        });
        let shards = shards.transpose()?;
        if shards.is_some() && kind != LayoutKind::Split {
            return Err(self.contradiction("ringkeeper.shards needs ringkeeper.layout=split"));
        }
        let cpus = self.raw.property("ringkeeper.cpus").map(|setting| {
            let cpus =
                setting.value.split(',').map(|cpu| cpu.trim().parse().ok()).collect::<Option<Vec<_>>>();
            cpus.ok_or_else(|| {
                bad("ringkeeper.cpus", setting, "CPU numbers separated by commas, such as 2,3")
            })
        });
        Ok(Layout { kind, shards, cpus: cpus.transpose()?.unwrap_or_default() })
    }

    /// Keys that only an ensemble uses, and that Java checks all the same.
    fn check_ensemble_words(&mut self) -> Result<(), ConfigError> {
        for name in ["initLimit", "syncLimit"] {
            self.strict_int(name, 0)?;
        }
        if self.strict_int("electionAlg", 3)? != 3 {
            return Err(self.contradiction("Invalid electionAlg value. Only 3 is supported."));
        }
        if let Some(setting) = self.raw.parser_key("peerType") {
            let value = setting.value.to_ascii_lowercase();
            if !["participant", "observer"].contains(&value.as_str()) {
                let reason = format!("Unrecognised peertype: {}", setting.value);
                return Err(bad("peerType", setting, &reason));
            }
        }
        Ok(())
    }

    /// Names what was set and has no effect.
    fn warn_of_keys(&mut self) {
        for name in self.raw.keys() {
            let warning = match Key::find(name).map(|key| key.status) {
                None | Some(Status::Supported) => continue,
                Some(Status::NotYet(why)) => {
                    format!("{}: {name} has no effect in this version: {why}", self.raw.file())
                }
                Some(Status::JavaOnly) => {
                    format!("{}: {name} tunes the Java server and has no effect here", self.raw.file())
                }
            };
            self.warnings.push(Warning(warning));
        }
    }

    fn strict_int(&self, name: &str, default: i32) -> Result<i32, ConfigError> {
        match self.raw.parser_key(name) {
            None => Ok(default),
            Some(setting) => parse_int(&setting.value).ok_or_else(|| {
                let reason = format!("For input string: \"{}\"", setting.value);
                bad(name, setting, &reason)
            }),
        }
    }

    fn strict_bool(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        match self.raw.parser_key(name) {
            None => Ok(default),
            Some(setting) if setting.value.eq_ignore_ascii_case("true") => Ok(true),
            Some(setting) if setting.value.eq_ignore_ascii_case("false") => Ok(false),
            Some(setting) => {
                let reason =
                    format!("Invalid option {} for {name}. Choose 'true' or 'false.'", setting.value);
                Err(bad(name, setting, &reason))
            }
        }
    }

    fn property_text(&self, name: &str) -> Option<String> {
        self.find_property(name).map(|setting| setting.value)
    }

    fn property_bool(&self, name: &str, default: bool) -> bool {
        self.property_text(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// A property's number. As in Java one that cannot be read is the default; here with a warning.
    fn property_number(&mut self, name: &str, default: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
        let Some(setting) = self.find_property(name) else { return default };
        match decode_long(&setting.value).filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let Setting { value, origin } = setting;
                let (least, most) = (range.start(), range.end());
                let text = format!(
                    "{origin}: {name}={value} is no number from {least} to {most}; the default of {default} \
                     is used"
                );
                self.warnings.push(Warning(text));
                default
            }
        }
    }

    fn find_property(&self, name: &str) -> Option<Setting> {
        match Key::find(name).map(|key| key.place) {
            Some(Place::BareProperty) => self.raw.bare_property(name),
            _ => self.raw.property(name),
        }
    }

    fn contradiction(&self, reason: &str) -> ConfigError {
        ConfigError::Contradiction { file: self.raw.file().to_owned(), reason: reason.to_owned() }
    }
}

/// Java reads the file in every mode when it is there.
fn check_myid(raw: &Raw, myid: Option<&str>) -> Result<(), ConfigError> {
    let Some(line) = myid.map(|text| text.lines().next().unwrap_or_default()) else { return Ok(()) };
    match line.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(ConfigError::Contradiction {
            file: raw.file().to_owned(),
            reason: format!(
                "serverid {line} is not a number (the first line of the file myid in dataDir must be this \
                 server's id alone)"
            ),
        }),
    }
}

fn bad(key: &str, setting: Setting, reason: &str) -> ConfigError {
    let Setting { value, origin } = setting;
    ConfigError::BadValue { origin, key: key.to_owned(), value, reason: reason.to_owned() }
}

const SEGMENT_KIB_MIN: i64 = 1 << 10;
const SEGMENT_KIB_MAX: i64 = 1 << 22;
const SHARDS_MAX: usize = 64;

#[cfg(test)]
mod tests;
