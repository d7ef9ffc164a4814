use super::Sources;
use super::error::{ConfigError, Problem};
use super::kind::{Int, Kind, Style};
use crate::id::ServerId;

/// The id in the file `myid`: its first line, a decimal number without blanks (config §3).
pub(super) fn prove(sources: &Sources<'_>) -> Result<Option<ServerId>, ConfigError> {
    let Some(content) = sources.my_id else { return Ok(None) };
    let first_line = content.split(['\n', '\r']).next().unwrap_or_default();
    match Int::<i64>::any(0).parse("myid", first_line, Style::Parser) {
        Ok(id) => Ok(Some(ServerId(id))),
        Err(_) => {
            // Java shows the line that an empty file doesn't have as null.
            let text = if content.is_empty() { "null" } else { first_line };
            Err(ConfigError::whole(sources.file, Problem::MyId { text: text.to_owned() }))
        }
    }
}
