//! Java's own format of files with keys.
//!
//! | bytes | field |
//! |------:|-------|
//! |     4 | magic |
//! |     4 | version: 1 or 2 |
//! |     4 | entries: how many |
//! |     … | entries: kind (4), alias (text), milliseconds since 1970 (8), and |
//! |       | of kind 1: a sealed key (length in 4), certificates (4: how many) |
//! |       | of kind 2: a certificate |
//! |    20 | SHA-1 of the password, a salt and everything before |
//!
//! A text has its length in 2 bytes; a certificate is its type (a text, from version 2 on) and its bytes (length in
//! 4). A key is sealed by a stream of SHA-1 of password and salt: salt (20), the key xor the stream, and the SHA-1 of
//! password and key (20). Here the password is its UTF-16 in big-endian.

use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{self, Decode, Reader as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::{Digest, Sha1};

use super::store::{Found, Identity, StoreProblem};

/// Whether a file says that it is one of these.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Everything in a file, if the password is right.
pub(super) fn read(bytes: &[u8], password: &str) -> Result<Found, StoreProblem> {
    let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let split = bytes.len().checked_sub(DIGEST_LEN).ok_or_else(ends_early)?;
    let (content, digest) = bytes.split_at(split);
    if sha1(&[&password, SALT, content])[..] != *digest {
        return Err(StoreProblem::WrongPassword);
    }
    let mut fields = Fields(content);
    fields.take(MAGIC.len())?;
    let version = fields.number()?;
    let mut found = Found::default();
    for _ in 0..fields.number()? {
        let kind = fields.number()?;
        fields.text()?;
        fields.take(TIME_LEN)?;
        match kind {
            KEY => {
                let sealed = fields.bytes()?;
                let mut chain = Vec::new();
                for _ in 0..fields.number()? {
                    chain.push(fields.certificate(version)?);
                }
                let key = PrivatePkcs8KeyDer::from(unseal(sealed, &password)?);
                found.identities.push(Identity { chain, key: PrivateKeyDer::from(key) });
            }
            CERTIFICATE => found.trusted.push(fields.certificate(version)?),
            kind => return Err(StoreProblem::Malformed(format!("an entry is of the unknown kind {kind}"))),
        }
    }
    Ok(found)
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], StoreProblem> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(ends_early)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, StoreProblem> {
        let bytes = self.take(4)?.first_chunk().ok_or_else(ends_early)?;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Result<&'a [u8], StoreProblem> {
        let len = self.take(2)?.first_chunk().ok_or_else(ends_early)?;
        self.take(u16::from_be_bytes(*len).into())
    }

    fn bytes(&mut self) -> Result<&'a [u8], StoreProblem> {
        let len = self.number()?;
        self.take(len as usize)
    }

    fn certificate(&mut self, version: u32) -> Result<CertificateDer<'static>, StoreProblem> {
        if version > 1 {
            self.text()?;
        }
        Ok(self.bytes()?.to_vec().into())
    }
}

fn unseal(sealed: &[u8], password: &[u8]) -> Result<Vec<u8>, StoreProblem> {
    let malformed = |error: der::Error| StoreProblem::Malformed(format!("a key of it is none: {error}"));
    let sealed = AnyRef::from_der(sealed)
        .and_then(|any| {
            any.sequence(|fields| {
                fields.decode::<AnyRef<'_>>()?;
                fields.decode::<&OctetStringRef>()
            })
        })
        .map_err(malformed)?
        .as_bytes();
    let (salt, rest) = sealed.split_at_checked(DIGEST_LEN).ok_or_else(ends_early)?;
    let len = rest.len().checked_sub(DIGEST_LEN).ok_or_else(ends_early)?;
    let (key, check) = rest.split_at(len);
    let mut stream = salt.to_vec();
    let mut plain = Vec::with_capacity(len);
    for part in key.chunks(DIGEST_LEN) {
        stream = sha1(&[password, &stream]).to_vec();
        plain.extend(part.iter().zip(&stream).map(|(byte, mask)| byte ^ mask));
    }
    if sha1(&[password, &plain])[..] != *check {
        return Err(StoreProblem::WrongPassword);
    }
    Ok(plain)
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn ends_early() -> StoreProblem {
    StoreProblem::Malformed("it ends too early".to_owned())
}

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const SALT: &[u8] = b"Mighty Aphrodite";
const KEY: u32 = 1;
const CERTIFICATE: u32 = 2;
const TIME_LEN: usize = 8;
const DIGEST_LEN: usize = 20;
