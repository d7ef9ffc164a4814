//! Snapshots, item by item.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Write};

use ringkeeper_core::format::snapshot::{Compression, Item, SnapshotStream, StoredNode, StreamError};
use ringkeeper_core::proto::AclRef;
use serde::Serialize;

use super::{DumpOptions, JsonReport, begin};
use crate::tools::files::{DataFile, Kind};
use crate::tools::show::{
    Hex, JsonAcl, JsonData, Shown, ShownAcl, ShownData, Utc, json_acl, json_line, kind,
};
use crate::tools::{Finding, Form, ToolError};

/// Shows a snapshot, and what is wrong with it if anything is.
pub(super) fn dump(
    file: &DataFile,
    options: &DumpOptions,
    out: &mut dyn Write,
) -> Result<Finding, ToolError> {
    let opened = File::open(&file.path).map_err(ToolError::io("open", &file.path))?;
    let compression = match file.kind {
        Kind::Snapshot(compression) => compression,
        _ => Compression::None,
    };
    let mut stream = SnapshotStream::new(compression.unpacking(BufReader::new(opened)));
    let mut dump = Dump { options, lists: HashMap::new(), count: 0 };
    begin(file, options.form, out)?;
    let damage = loop {
        match stream.next_item() {
            Ok(Some(item)) => dump.show(item, out)?,
            Ok(None) => break None,
            Err(StreamError::Source { source, .. }) if source.raw_os_error().is_some() => {
                return Err(ToolError::Io { doing: "read", path: file.path.clone(), source });
            }
            Err(StreamError::Snapshot(error)) => break Some((error.offset, error.to_string())),
            Err(error) => break Some((stream.offset(), error.to_string())),
        }
    };
    let path = file.name();
    match (options.form, &damage) {
        (Form::Text, None) => writeln!(out, "# {}: {} znodes", Shown(&path), dump.count),
        (Form::Text, Some((_, reason))) => {
            writeln!(out, "# {}: DAMAGED {reason}; nothing of it can be relied on", Shown(&path))
        }
        (Form::Json, None) => {
            return json_line(out, &JsonReport::of_snapshot(file, Ok(dump.count))).map(|()| Finding::None);
        }
        (Form::Json, Some((offset, reason))) => {
            let report = JsonReport::of_snapshot(file, Err((Some(*offset as u64), reason)));
            return json_line(out, &report).map(|()| Finding::Some);
        }
    }
    .map_err(ToolError::Output)?;
    Ok(if damage.is_some() { Finding::Some } else { Finding::None })
}

struct Dump<'o> {
    options: &'o DumpOptions,
    lists: HashMap<i64, AclRef>,
    count: u64,
}

impl Dump<'_> {
    fn show(&mut self, item: Item, out: &mut dyn Write) -> Result<(), ToolError> {
        let is_filtered = self.options.path.is_some() || self.options.session.is_some();
        match item {
            Item::List { number, acl } => {
                self.lists.insert(number, acl);
                Ok(())
            }
            Item::Session { id, timeout_ms } => {
                let is_wanted = match self.options.session {
                    Some(session) => session == id,
                    None => self.options.path.is_none(),
                };
                if is_wanted { self.session(id.0, timeout_ms, out) } else { Ok(()) }
            }
            Item::Node(node) => {
                self.count += 1;
                let owned = self.options.session.is_none_or(|session| session.0 == node.owner);
                if owned && self.options.wants_path(&node.path) { self.node(&node, out) } else { Ok(()) }
            }
            Item::Digest(_) | Item::LastZxid(_) if is_filtered => Ok(()),
            Item::Digest(digest) => {
                let (zxid, value) = (Hex(digest.zxid.0), Hex(digest.value));
                match self.options.form {
                    Form::Text => writeln!(out, "digest {value} version {} zxid {zxid}", digest.version)
                        .map_err(ToolError::Output),
                    Form::Json => {
                        let version = digest.version;
                        json_line(
                            out,
                            &Section { r#type: "digest", zxid, version: Some(version), digest: Some(value) },
                        )
                    }
                }
            }
            Item::LastZxid(zxid) => {
                let zxid = Hex(zxid.0);
                match self.options.form {
                    Form::Text => writeln!(out, "last zxid {zxid}").map_err(ToolError::Output),
                    Form::Json => {
                        json_line(out, &Section { r#type: "last_zxid", zxid, version: None, digest: None })
                    }
                }
            }
        }
    }

    fn session(&self, id: i64, timeout_ms: i32, out: &mut dyn Write) -> Result<(), ToolError> {
        #[derive(Serialize)]
        struct Session {
            r#type: &'static str,
            session: Hex,
            timeout_ms: i32,
        }
        let session = Hex(id);
        match self.options.form {
            Form::Text => {
                writeln!(out, "session {session} timeout {timeout_ms}ms").map_err(ToolError::Output)
            }
            Form::Json => json_line(out, &Session { r#type: "session", session, timeout_ms }),
        }
    }

    fn node(&self, node: &StoredNode, out: &mut dyn Write) -> Result<(), ToolError> {
        let open;
        let acl = match self.lists.get(&node.acl) {
            Some(list) => Some(list),
            None if node.acl == StoredNode::OPEN_ACL => {
                open = AclRef::open();
                Some(&open)
            }
            None => None,
        };
        match self.options.form {
            Form::Text => self.node_text(node, acl, out).map_err(ToolError::Output),
            Form::Json => json_line(
                out,
                &JsonNode {
                    r#type: "znode",
                    path: &node.path,
                    data: JsonData::new(node.data.as_deref(), self.options.data),
                    acl: acl.map(|list| json_acl(list)),
                    czxid: Hex(node.czxid.0),
                    mzxid: Hex(node.mzxid.0),
                    pzxid: Hex(node.pzxid.0),
                    ctime: Utc(node.ctime),
                    mtime: Utc(node.mtime),
                    version: node.version,
                    cversion: node.cversion,
                    aversion: node.aversion,
                    ephemeral_owner: Hex(node.owner),
                    kind: kind(node.owner),
                },
            ),
        }
    }

    fn node_text(&self, node: &StoredNode, acl: Option<&AclRef>, out: &mut dyn Write) -> std::io::Result<()> {
        let data = ShownData(node.data.as_deref(), self.options.data);
        write!(out, "{} {data} acl ", Shown(&node.path))?;
        match acl {
            Some(list) => write!(out, "{}", ShownAcl(list))?,
            None => write!(out, "missing (number {})", node.acl)?,
        }
        write!(
            out,
            " czxid {} mzxid {} pzxid {} ctime {} mtime {} version {} cversion {} aversion {}",
            node.czxid,
            node.mzxid,
            node.pzxid,
            Utc(node.ctime),
            Utc(node.mtime),
            node.version,
            node.cversion,
            node.aversion
        )?;
        match kind(node.owner) {
            Some(kind) => writeln!(out, " {kind}"),
            None => writeln!(out),
        }
    }
}

/// A section behind the znodes.
#[derive(Serialize)]
struct Section {
    r#type: &'static str,
    zxid: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Hex>,
}

/// A znode; `cversion` is as stored, which counts creations only.
#[derive(Serialize)]
struct JsonNode<'a> {
    r#type: &'static str,
    path: &'a str,
    #[serde(flatten)]
    data: JsonData<'a>,
    /// Null if the snapshot lacks it.
    acl: Option<Vec<JsonAcl<'a>>>,
    czxid: Hex,
    mzxid: Hex,
    pzxid: Hex,
    ctime: Utc,
    mtime: Utc,
    version: i32,
    cversion: i32,
    aversion: i32,
    ephemeral_owner: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}
