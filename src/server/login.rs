//! The log-in file: names and passwords, by which servers know each other.

use std::fs;
use std::io;

use ringkeeper_core::config::QuorumSasl;
use ringkeeper_core::sasl::{LoginError, LoginFile, Nonces, QuorumAuth, SyntaxError};
use rustix::rand::{GetRandomFlags, getrandom};
use thiserror::Error;
use tracing::info;

/// Why servers cannot prove to each other who they are. The texts are for the operator.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum LoginFileError {
    #[error(
        "quorum.auth.enableSasl=true needs -Djava.security.auth.login.config=<path>: a file with a section {section}"
    )]
    None { section: String },
    #[error("{path}, the file of java.security.auth.login.config, cannot be read: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}, {error}")]
    Syntax { path: String, error: SyntaxError },
    #[error("{path}: {error}")]
    Login { path: String, error: LoginError },
    #[error("the kernel gives no random bytes: {0}")]
    Random(io::Error),
}

/// Reads the file, and draws the secret by which log-ins differ.
pub(super) fn quorum_auth(sasl: &QuorumSasl) -> Result<QuorumAuth, LoginFileError> {
    let Some(path) = sasl.login_path().map(str::to_owned) else {
        return Err(LoginFileError::None { section: sasl.server_section.clone() });
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(LoginFileError::Io { path, source }),
    };
    let file = match LoginFile::parse(&text, |name| sasl.properties.get(name).cloned()) {
        Ok(file) => file,
        Err(error) => return Err(LoginFileError::Syntax { path, error }),
    };
    let users = file.users(&sasl.server_section);
    let read = users.and_then(|users| Ok((users, file.credentials(&sasl.learner_section)?)));
    let (users, credentials) = match read {
        Ok(read) => read,
        Err(error) => return Err(LoginFileError::Login { path, error }),
    };
    info!(
        "Using DIGEST-MD5 for quorum authorization, by {path}: learnerRequireSasl={}, serverRequireSasl={}",
        sasl.learner_requires, sasl.server_requires
    );
    let mut secret = [0; 32];
    getrandom(&mut secret, GetRandomFlags::empty()).map_err(|error| LoginFileError::Random(error.into()))?;
    Ok(QuorumAuth {
        credentials: sasl.learner_requires.then_some(credentials),
        users,
        is_required: sasl.server_requires,
        nonces: Nonces::new(secret),
    })
}
