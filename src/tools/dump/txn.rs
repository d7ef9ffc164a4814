//! Transactions, as text and in JSON.

use std::io::{self, Write};

use ringkeeper_core::proto::{CreateKind, Txn};
use serde::Serialize;

use crate::tools::ToolError;
use crate::tools::logs::Logged;
use crate::tools::show::{
    DataShown, Hex, JsonAcl, JsonData, Shown, ShownAcl, ShownData, Utc, json_acl, json_line,
};

/// Writes a transaction as one line, and one more for each part of a multi.
pub(super) fn text(logged: &Logged<'_>, data: DataShown, out: &mut dyn Write) -> io::Result<()> {
    let header = &logged.header;
    write!(
        out,
        "{} zxid {} session {} cxid {:#x} ",
        Utc(header.time.0),
        logged.zxid,
        header.client_id,
        header.cxid
    )?;
    write_txn(&logged.txn, data, out)?;
    if let Some(digest) = logged.digest {
        write!(out, " digest {:#x}", digest.tree_digest)?;
    }
    writeln!(out)?;
    if let Txn::Multi(parts) = &logged.txn {
        for part in parts {
            write!(out, "    ")?;
            write_txn(part, data, out)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// Writes a transaction as one JSON object.
pub(super) fn json(logged: &Logged<'_>, data: DataShown, out: &mut dyn Write) -> Result<(), ToolError> {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        offset: u64,
        zxid: Hex,
        time: Utc,
        session: Hex,
        cxid: i32,
        #[serde(flatten)]
        txn: JsonTxn<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<Hex>,
    }
    let header = &logged.header;
    json_line(
        out,
        &Line {
            r#type: "transaction",
            offset: logged.offset,
            zxid: Hex(logged.zxid.0),
            time: Utc(header.time.0),
            session: Hex(header.client_id.0),
            cxid: header.cxid,
            txn: JsonTxn::new(&logged.txn, data),
            digest: logged.digest.map(|digest| Hex(digest.tree_digest)),
        },
    )
}

/// The paths that a transaction names.
pub(super) fn paths<'t>(txn: &'t Txn<'_>) -> Box<dyn Iterator<Item = &'t str> + 't> {
    match txn {
        Txn::CreateSession { .. } | Txn::Error { .. } => Box::new(std::iter::empty()),
        Txn::CloseSession { ephemerals } => Box::new(ephemerals.iter().flatten().map(AsRef::as_ref)),
        Txn::Create { path, .. }
        | Txn::Delete { path }
        | Txn::DeleteContainer { path }
        | Txn::SetData { path, .. }
        | Txn::Reconfig { path, .. }
        | Txn::SetAcl { path, .. }
        | Txn::Check { path, .. } => Box::new(std::iter::once(path.as_ref())),
        Txn::Multi(parts) => Box::new(parts.iter().flat_map(paths)),
    }
}

fn write_txn(txn: &Txn<'_>, shown: DataShown, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}", name(txn))?;
    match txn {
        Txn::CreateSession { timeout_ms } => write!(out, " timeout {timeout_ms}ms"),
        Txn::CloseSession { ephemerals } => {
            ephemerals.iter().flatten().try_for_each(|path| write!(out, " {}", Shown(path)))
        }
        Txn::Error { err } => write!(out, " {err}"),
        Txn::Create { kind, path, data, acl, parent_cversion } => {
            write!(out, " {}", Shown(path))?;
            match kind {
                CreateKind::Create { ephemeral: true } | CreateKind::Create2 { ephemeral: true } => {
                    write!(out, " ephemeral")?;
                }
                CreateKind::Ttl { ttl_ms } => write!(out, " ttl {ttl_ms}ms")?,
                _ => {}
            }
            let data = ShownData(data.as_deref(), shown);
            write!(out, " {data} acl {} parent cversion {parent_cversion}", ShownAcl(acl))
        }
        Txn::Delete { path } | Txn::DeleteContainer { path } => write!(out, " {}", Shown(path)),
        Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
            write!(out, " {} {} version {version}", Shown(path), ShownData(data.as_deref(), shown))
        }
        Txn::SetAcl { path, acl, version } => {
            write!(out, " {} acl {} version {version}", Shown(path), ShownAcl(acl))
        }
        Txn::Check { path, version } => write!(out, " {} version {version}", Shown(path)),
        Txn::Multi(parts) => write!(out, " of {}", parts.len()),
    }
}

/// A transaction in JSON: those of these that it has.
#[derive(Default, Serialize)]
struct JsonTxn<'a> {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<i64>,
    #[serde(flatten)]
    data: Option<JsonData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acl: Option<Vec<JsonAcl<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_cversion: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemerals: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<JsonTxn<'a>>>,
}

impl<'a> JsonTxn<'a> {
    fn new(txn: &'a Txn<'_>, shown: DataShown) -> JsonTxn<'a> {
        let only = JsonTxn { op: name(txn), ..JsonTxn::default() };
        match txn {
            Txn::CreateSession { timeout_ms } => JsonTxn { timeout_ms: Some(*timeout_ms), ..only },
            Txn::CloseSession { ephemerals } => {
                let paths = ephemerals.as_ref().map(|paths| paths.iter().map(AsRef::as_ref).collect());
                JsonTxn { ephemerals: paths, ..only }
            }
            Txn::Error { err } => JsonTxn { err: Some(*err), ..only },
            Txn::Create { kind, path, data, acl, parent_cversion } => JsonTxn {
                path: Some(path),
                ephemeral: match kind {
                    CreateKind::Create { ephemeral } | CreateKind::Create2 { ephemeral } => Some(*ephemeral),
                    CreateKind::Container | CreateKind::Ttl { .. } => None,
                },
                ttl_ms: match kind {
                    CreateKind::Ttl { ttl_ms } => Some(*ttl_ms),
                    _ => None,
                },
                data: Some(JsonData::new(data.as_deref(), shown)),
                acl: Some(json_acl(acl)),
                parent_cversion: Some(*parent_cversion),
                ..only
            },
            Txn::Delete { path } | Txn::DeleteContainer { path } => JsonTxn { path: Some(path), ..only },
            Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => JsonTxn {
                path: Some(path),
                data: Some(JsonData::new(data.as_deref(), shown)),
                version: Some(*version),
                ..only
            },
            Txn::SetAcl { path, acl, version } => {
                JsonTxn { path: Some(path), acl: Some(json_acl(acl)), version: Some(*version), ..only }
            }
            Txn::Check { path, version } => JsonTxn { path: Some(path), version: Some(*version), ..only },
            Txn::Multi(parts) => {
                JsonTxn { parts: Some(parts.iter().map(|part| JsonTxn::new(part, shown)).collect()), ..only }
            }
        }
    }
}

/// ZooKeeper's name for what a transaction does.
fn name(txn: &Txn<'_>) -> &'static str {
    match txn {
        Txn::CreateSession { .. } => "createSession",
        Txn::CloseSession { .. } => "closeSession",
        Txn::Error { .. } => "error",
        Txn::Create { kind, .. } => match kind {
            CreateKind::Create { .. } => "create",
            CreateKind::Create2 { .. } => "create2",
            CreateKind::Container => "createContainer",
            CreateKind::Ttl { .. } => "createTTL",
        },
        Txn::Delete { .. } => "delete",
        Txn::DeleteContainer { .. } => "deleteContainer",
        Txn::SetData { .. } => "setData",
        Txn::Reconfig { .. } => "reconfig",
        Txn::SetAcl { .. } => "setACL",
        Txn::Check { .. } => "check",
        Txn::Multi(_) => "multi",
    }
}
