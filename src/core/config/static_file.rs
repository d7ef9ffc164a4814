use super::membership::is_member_key;
use super::raw::Raw;

/// The content of a configuration file once its servers are in the dynamic file of this path (zab §12.2): without
/// what says who the servers are and, if `drops_client_port`, where clients connect, because that is in this
/// server's line there. All else stays as it is written.
pub fn pointing_to(content: &[u8], dynamic: &str, drops_client_port: bool) -> Vec<u8> {
    let mut rewritten = Vec::with_capacity(content.len() + dynamic.len());
    for logical in logical_lines(content) {
        if !key_of(&logical).is_some_and(|key| is_dropped(&key, drops_client_port)) {
            rewritten.extend(&logical);
            if !ends_line(&logical) {
                rewritten.push(b'\n');
            }
        }
    }
    rewritten.extend(format!("{DYNAMIC}={}\n", escaped(dynamic)).bytes());
    rewritten
}

fn is_dropped(key: &str, drops_client_port: bool) -> bool {
    let says_who = is_member_key(key) || [DYNAMIC, "peerType"].contains(&key);
    says_who || (drops_client_port && ["clientPort", "clientPortAddress"].contains(&key))
}

fn key_of(logical: &[u8]) -> Option<String> {
    let raw = Raw::parse(logical).ok()?;
    let entries = raw.in_order();
    entries.first().map(|(key, _)| (*key).to_owned())
}

/// The lines with what continues them and what ends them.
fn logical_lines(content: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    let mut rest = content;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let ending = if rest[end..].starts_with(b"\r\n") { 2 } else { rest[end..].len().min(1) };
        let (physical, after) = rest.split_at(end + ending);
        rest = after;
        let is_first = line.is_empty();
        line.extend_from_slice(physical);
        let text = &physical[..end];
        let is_comment = is_first
            && text
                .iter()
                .find(|byte| !matches!(byte, b' ' | b'\t' | 0x0c))
                .is_none_or(|byte| b"#!".contains(byte));
        let backslashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
        if is_comment || backslashes % 2 == 0 {
            lines.push(std::mem::take(&mut line));
        }
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines
}

fn ends_line(line: &[u8]) -> bool {
    matches!(line.last(), Some(b'\n' | b'\r'))
}

/// As a value that is read as ISO-8859-1, with escapes.
fn escaped(path: &str) -> String {
    let mut units = [0; 2];
    path.chars()
        .map(|char| match char {
            '\\' => "\\\\".to_owned(),
            ' '..='~' => char.to_string(),
            _ => char.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        })
        .collect()
}

const DYNAMIC: &str = "dynamicConfigFile";

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(content: &str, drops: bool) -> String {
        String::from_utf8(pointing_to(content.as_bytes(), "/c/zoo.cfg.dynamic.a", drops)).expect("ASCII")
    }

    #[test]
    fn the_servers_go_and_all_else_stays_as_it_is_written() {
        let content = "# servers: server.9=x\ntickTime = 500\n server.1=a:1:2\\\n   ;2181\nserver.2: b:1:2\n\
                       group.1=1:2\nweight.1=1\npeerType=observer\nclientPort=2181\nclientPortAddress=h\n\
                       clientPortListenBacklog=5\nd=C:\\\\x\\u0041";
        let kept = "# servers: server.9=x\ntickTime = 500\nclientPort=2181\nclientPortAddress=h\n\
                    clientPortListenBacklog=5\nd=C:\\\\x\\u0041\ndynamicConfigFile=/c/zoo.cfg.dynamic.a\n";
        assert_eq!(rewritten(content, false), kept);
        let without = kept.replace("clientPort=2181\nclientPortAddress=h\n", "");
        assert_eq!(rewritten(content, true), without);
        assert_eq!(rewritten(&without, true), without, "the old pointer goes");
    }

    #[test]
    fn other_line_ends_and_no_content_are_fine() {
        assert_eq!(
            rewritten("a=1\r\nserver.1=a:1:2\r\nb=2\rc=3", false),
            "a=1\r\nb=2\rc=3\ndynamicConfigFile=/c/zoo.cfg.dynamic.a\n"
        );
        assert_eq!(rewritten("", false), "dynamicConfigFile=/c/zoo.cfg.dynamic.a\n");
    }

    #[test]
    fn a_path_is_read_as_it_was_written() {
        let path = "/a b/ü\\/\u{1f600}.dynamic.1";
        let raw = Raw::parse(&pointing_to(b"", path, false)).expect("good escapes");
        assert_eq!(raw.get(DYNAMIC).map(|value| value.text.as_str()), Some(path));
    }
}
