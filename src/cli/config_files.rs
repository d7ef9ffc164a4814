//! What a configuration is read from: files and the environment.

use std::ffi::OsString;
use std::path::Path;
use std::{env, fs, io};

use ringkeeper_core::config::{
    Config, ConfigError, Defines, NEXT_SUFFIX, Notice, Origin, Problem, Raw, Sources,
};

/// What a server is started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The configuration in `default.cfg`.
    Default,
    /// A configuration file.
    File(OsString),
    /// `port dataDir [tickTime] [maxClientCnxns]`.
    Arguments { port: String, data_dir: String, tick_time: Option<String>, max_client_cnxns: Option<String> },
}

/// Reads and proves a configuration, with the properties that the Java scripts would hand on: those of
/// SERVER_JVMFLAGS, JVMFLAGS and, last, the `words` of the command line.
pub(super) fn load(start: &Start, words: &[String]) -> Result<(Config, Vec<Notice>), ConfigError> {
    let mut defines = Defines::default();
    for (origin, name) in [(Origin::ServerJvmFlags, "SERVER_JVMFLAGS"), (Origin::JvmFlags, "JVMFLAGS")] {
        let flags = env::var_os(name).unwrap_or_default();
        defines.add_flags(origin, &flags.to_string_lossy());
    }
    defines.add_words(Origin::CommandLine, words.iter().map(String::as_str));
    prove(start, &defines)
}

fn prove(start: &Start, defines: &Defines) -> Result<(Config, Vec<Notice>), ConfigError> {
    let (file, raw) = read_raw(start)?;
    let dynamic = read_dynamic(&raw)?;
    let next = dynamic.is_some().then(|| read_next(&file)).transpose()?.flatten();
    let my_id = match start {
        Start::Arguments { .. } => None,
        Start::Default | Start::File(_) => read_my_id(&file, &raw)?,
    };
    Config::prove(&Sources {
        file: &file,
        raw: &raw,
        dynamic: dynamic.as_ref().map(|(file, raw)| (file.as_str(), raw)),
        next: next.as_ref().map(|(file, raw)| (file.as_str(), raw)),
        defines,
        my_id: my_id.as_deref(),
    })
}

fn read_raw(start: &Start) -> Result<(String, Raw), ConfigError> {
    match start {
        Start::Default => Ok((DEFAULT_NAME.to_owned(), parse(DEFAULT_NAME, DEFAULT_TEXT)?)),
        Start::File(path) => {
            let name = path.to_string_lossy().into_owned();
            let bytes = fs::read(path).map_err(|error| unreadable(&name, &name, &error))?;
            let raw = parse(&name, &bytes)?;
            Ok((name, raw))
        }
        Start::Arguments { port, data_dir, tick_time, max_client_cnxns } => {
            let raw = Raw::from_arguments(port, data_dir, tick_time.as_deref(), max_client_cnxns.as_deref());
            Ok((ARGUMENTS_NAME.to_owned(), raw))
        }
    }
}

/// The file of the server lines, if the configuration names one.
fn read_dynamic(raw: &Raw) -> Result<Option<(String, Raw)>, ConfigError> {
    let Some(name) = raw.get("dynamicConfigFile").map(|value| value.text.clone()) else { return Ok(None) };
    let bytes = fs::read(&name).map_err(|error| unreadable(&name, &name, &error))?;
    let dynamic = parse(&name, &bytes)?;
    Ok(Some((name, dynamic)))
}

/// The file of the configuration that was proposed last, beside the configuration file, if it is there.
fn read_next(file: &str) -> Result<Option<(String, Raw)>, ConfigError> {
    let name = format!("{file}{NEXT_SUFFIX}");
    match fs::read(&name) {
        Ok(bytes) => Ok(Some((name.clone(), parse(&name, &bytes)?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&name, &name, &error)),
    }
}

/// The content of `<dataDir>/myid`, if there is such a file.
fn read_my_id(file: &str, raw: &Raw) -> Result<Option<String>, ConfigError> {
    let Some(data_dir) = raw.get("dataDir").map(|value| value.text.as_str()) else { return Ok(None) };
    let path = Path::new(data_dir).join("myid");
    if data_dir.is_empty() || !path.is_file() {
        return Ok(None);
    }
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => Err(unreadable(file, &path.to_string_lossy(), &error)),
    }
}

fn parse(name: &str, bytes: &[u8]) -> Result<Raw, ConfigError> {
    Raw::parse(bytes).map_err(|malformed| ConfigError::from((name, malformed)))
}

fn unreadable(file: &str, path: &str, error: &io::Error) -> ConfigError {
    let path = path.to_owned();
    ConfigError::whole(
        file,
        match error.kind() {
            io::ErrorKind::NotFound => Problem::FileMissing { path },
            _ => Problem::FileUnreadable { path, why: error.to_string() },
        },
    )
}

const DEFAULT_TEXT: &[u8] = include_bytes!("default.cfg");
const DEFAULT_NAME: &str = "the default configuration";
const ARGUMENTS_NAME: &str = "the arguments";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_good_and_has_nothing_to_say() {
        let (config, notices) = prove(&Start::Default, &Defines::default()).expect("a good configuration");
        assert_eq!(notices, []);
        assert_eq!((config.client_port.host.as_deref(), config.client_port.port), (Some("127.0.0.1"), 2181));
    }

    #[test]
    fn my_id_lies_in_the_data_folder_and_need_not_be_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().to_str().expect("a path in UTF-8");
        let file = folder.path().join("zoo.cfg");
        fs::write(&file, format!("dataDir={data_dir}\nclientPort=0\n")).expect("a file");
        let start = Start::File(file.into());
        let my_id = || prove(&start, &Defines::default()).map(|(config, _)| config.my_id.map(|id| id.0));
        assert_eq!(my_id(), Ok(None));
        fs::write(folder.path().join("myid"), "7\n").expect("a file");
        assert_eq!(my_id(), Ok(Some(7)));
        fs::write(folder.path().join("myid"), "seven\n").expect("a file");
        assert!(my_id().unwrap_err().to_string().contains("serverid seven is not a number"));
    }

    #[test]
    fn a_dynamic_file_that_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zoo.cfg");
        fs::write(&file, "dataDir=/d\nclientPort=0\ndynamicConfigFile=/no/such/file\n").expect("a file");
        let error = prove(&Start::File(file.into()), &Defines::default()).expect_err("incomplete");
        assert_eq!(error.to_string(), "Error processing /no/such/file: /no/such/file file is missing");
    }
}
