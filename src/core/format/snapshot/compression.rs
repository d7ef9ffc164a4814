use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use thiserror::Error;

use super::{END, END_LEN};

/// How a snapshot's file is compressed, which its name says.
///
/// A gzip file is one as everybody knows it. A snappy file is a header of 16 bytes (`82 SNAPPY 00`, `int`
/// version 1, `int` least version that can read it 1) and blocks: `int` length, and so many bytes that are
/// raw snappy, of at most 32 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.snappy`
    Snappy,
}

/// Why a compressed file cannot be read.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The file is not gzip, or damaged.
    #[error("the gzip file is damaged: {0}")]
    Gzip(io::Error),
    /// The file is not snappy, or damaged.
    #[error("the snappy file is damaged at offset {offset} ({offset:#x}): {reason}")]
    Snappy {
        /// Where in the compressed file.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is more in the file than was allowed.
    #[error("the file holds more than {0} bytes")]
    TooLong(usize),
}

impl Compression {
    /// What the names of such files end with.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }

    /// Whether a file may be a whole snapshot, as far as its first and last bytes say: what Java asks
    /// before it tries to load one, and before it counts one as kept (storage-formats §4.4).
    pub fn seems_whole(self, file: &[u8]) -> bool {
        match self {
            Compression::None => {
                let end = file.last_chunk::<END_LEN>().filter(|_| file.len() >= PLAIN_LEN_MIN);
                end.is_some_and(|end| end[..4] == [0, 0, 0, 1] && end[4..] == *END)
            }
            Compression::Gzip => file.starts_with(&GZIP_MAGIC),
            Compression::Snappy => file.starts_with(&SNAPPY_MAGIC),
        }
    }

    /// What the file holds, to be read in pieces and in little memory. A damage to the file is an error of
    /// the kind [`io::ErrorKind::InvalidData`], or what gzip makes of it.
    pub fn unpacking<'a>(self, file: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
            Compression::Snappy => Box::new(SnappyReader {
                file,
                offset: 0,
                decoder: snap::raw::Decoder::new(),
                block: Vec::new(),
                taken: 0,
            }),
        }
    }

    /// What the file holds, which is no more than `len_max` bytes.
    ///
    /// # Errors
    ///
    /// If the file is damaged, cut, or holds more.
    pub fn unpack(self, file: &[u8], len_max: usize) -> Result<Cow<'_, [u8]>, UnpackError> {
        match self {
            Compression::None if file.len() > len_max => Err(UnpackError::TooLong(len_max)),
            Compression::None => Ok(file.into()),
            Compression::Gzip => unpack_gzip(file, len_max).map(Cow::Owned),
            Compression::Snappy => unpack_snappy(file, len_max).map(Cow::Owned),
        }
    }

    /// Goes through what the file holds, piece by piece, without having all of it in memory.
    ///
    /// # Errors
    ///
    /// If the file is damaged or cut.
    pub(super) fn each_piece(self, file: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), UnpackError> {
        match self {
            Compression::None => each(file),
            Compression::Gzip => {
                let (mut reader, mut piece) = (MultiGzDecoder::new(file), vec![0; PIECE_LEN]);
                loop {
                    match reader.read(&mut piece).map_err(UnpackError::Gzip)? {
                        0 => break,
                        len => each(&piece[..len]),
                    }
                }
            }
            Compression::Snappy => each_snappy_block(file, |block| {
                each(block);
                Ok(())
            })?,
        }
        Ok(())
    }
}

/// Compresses a file in pieces.
pub struct Packer(Method);

enum Method {
    None,
    Gzip(GzEncoder<Vec<u8>>),
    Snappy { encoder: Box<snap::raw::Encoder>, block: Vec<u8>, has_begun: bool },
}

impl Packer {
    /// A packer at the start of a file.
    pub fn new(compression: Compression) -> Packer {
        Packer(match compression {
            Compression::None => Method::None,
            Compression::Gzip => Method::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Compression::Snappy => Method::Snappy {
                encoder: Box::new(snap::raw::Encoder::new()),
                block: Vec::with_capacity(SNAPPY_BLOCK_LEN),
                has_begun: false,
            },
        })
    }

    /// Takes the next bytes, and appends what the file gets for now.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            Method::None => out.extend_from_slice(bytes),
            Method::Gzip(encoder) => {
                encoder.write_all(bytes).unwrap_or_else(|_| unreachable!("a vector takes what it is given"));
                out.append(encoder.get_mut());
            }
            Method::Snappy { encoder, block, has_begun } => {
                begin_snappy(has_begun, out);
                while !bytes.is_empty() {
                    let (now, later) = bytes.split_at(bytes.len().min(SNAPPY_BLOCK_LEN - block.len()));
                    block.extend_from_slice(now);
                    bytes = later;
                    if block.len() == SNAPPY_BLOCK_LEN {
                        flush_snappy(encoder, block, out);
                    }
                }
            }
        }
    }

    /// Appends the end of the file.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.0 {
            Method::None => {}
            Method::Gzip(encoder) => {
                let mut rest =
                    encoder.finish().unwrap_or_else(|_| unreachable!("a vector takes what it is given"));
                out.append(&mut rest);
            }
            Method::Snappy { mut encoder, mut block, mut has_begun } => {
                begin_snappy(&mut has_begun, out);
                flush_snappy(&mut encoder, &mut block, out);
            }
        }
    }
}

fn begin_snappy(has_begun: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::replace(has_begun, true) {
        out.extend_from_slice(&SNAPPY_MAGIC);
        out.extend_from_slice(&SNAPPY_VERSIONS);
    }
}

fn flush_snappy(encoder: &mut snap::raw::Encoder, block: &mut Vec<u8>, out: &mut Vec<u8>) {
    if block.is_empty() {
        return;
    }
    let packed = encoder.compress_vec(block).unwrap_or_else(|_| unreachable!("a block is no 4 GiB"));
    out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
    out.extend_from_slice(&packed);
    block.clear();
}

fn unpack_gzip(file: &[u8], len_max: usize) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    let one_too_many = (len_max as u64).saturating_add(1);
    MultiGzDecoder::new(file).take(one_too_many).read_to_end(&mut bytes).map_err(UnpackError::Gzip)?;
    if bytes.len() > len_max { Err(UnpackError::TooLong(len_max)) } else { Ok(bytes) }
}

fn unpack_snappy(file: &[u8], len_max: usize) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    each_snappy_block(file, |block| {
        if block.len() > len_max - bytes.len() {
            return Err(UnpackError::TooLong(len_max));
        }
        bytes.extend_from_slice(block);
        Ok(())
    })?;
    Ok(bytes)
}

fn each_snappy_block(
    file: &[u8],
    mut each: impl FnMut(&[u8]) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let damaged = |offset, reason: &str| UnpackError::Snappy { offset, reason: reason.into() };
    let (magic, rest) = file.split_at_checked(SNAPPY_MAGIC.len()).ok_or_else(|| damaged(0, "no header"))?;
    let versions = rest.get(..SNAPPY_VERSIONS.len()).ok_or_else(|| damaged(0, "no header"))?;
    if magic != SNAPPY_MAGIC {
        return Err(damaged(0, "no header"));
    }
    if versions[4..] != SNAPPY_VERSIONS[4..] {
        return Err(damaged(SNAPPY_MAGIC.len(), "the framing's version is not known"));
    }
    let mut decoder = snap::raw::Decoder::new();
    let mut block = Vec::new();
    let mut offset = SNAPPY_MAGIC.len() + SNAPPY_VERSIONS.len();
    while offset < file.len() {
        let (len, rest) =
            file[offset..].split_first_chunk().ok_or_else(|| damaged(offset, "it ends early"))?;
        let packed =
            rest.get(..u32::from_be_bytes(*len) as usize).ok_or_else(|| damaged(offset, "it ends early"))?;
        let failed = |error: snap::Error| damaged(offset, &error.to_string());
        let len = snap::raw::decompress_len(packed).map_err(failed)?;
        // A block's bytes can claim to hold 4 GiB; no writer makes blocks so large.
        if len > SNAPPY_BLOCK_LEN_MAX {
            return Err(damaged(offset, "a block claims to be too large"));
        }
        block.resize(len, 0);
        decoder.decompress(packed, &mut block).map_err(failed)?;
        each(&block)?;
        offset += 4 + packed.len();
    }
    Ok(())
}

/// Unpacks a snappy file block by block.
struct SnappyReader<R> {
    file: R,
    /// How much of the file was read.
    offset: usize,
    decoder: snap::raw::Decoder,
    block: Vec<u8>,
    /// How much of the block was handed on.
    taken: usize,
}

impl<R: Read> SnappyReader<R> {
    /// Unpacks the next block; false if there is none.
    fn next_block(&mut self) -> io::Result<bool> {
        if self.offset == 0 {
            let mut header = [0; SNAPPY_MAGIC.len() + SNAPPY_VERSIONS.len()];
            self.file.read_exact(&mut header).map_err(|error| self.ended(error))?;
            if header[..8] != SNAPPY_MAGIC || header[12..] != SNAPPY_VERSIONS[4..] {
                return Err(self.damaged("it does not begin as such files do"));
            }
            self.offset = header.len();
        }
        let mut head = Vec::with_capacity(4);
        self.file.by_ref().take(4).read_to_end(&mut head)?;
        let head = match *head {
            [] => return Ok(false),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => return Err(self.damaged("it ends early")),
        };
        let mut packed = Vec::new();
        self.file.by_ref().take(head.into()).read_to_end(&mut packed)?;
        if packed.len() as u64 != u64::from(head) {
            return Err(self.damaged("it ends early"));
        }
        let len = snap::raw::decompress_len(&packed).map_err(|error| self.damaged(&error.to_string()))?;
        if len > SNAPPY_BLOCK_LEN_MAX {
            return Err(self.damaged("a block claims to be too large"));
        }
        self.block.resize(len, 0);
        let unpacked = self.decoder.decompress(&packed, &mut self.block);
        unpacked.map_err(|error| self.damaged(&error.to_string()))?;
        self.taken = 0;
        self.offset += 4 + packed.len();
        Ok(true)
    }

    fn ended(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends early"),
            _ => error,
        }
    }

    fn damaged(&self, reason: &str) -> io::Error {
        let error = UnpackError::Snappy { offset: self.offset, reason: reason.into() };
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let len = out.len().min(self.block.len() - self.taken);
        out[..len].copy_from_slice(&self.block[self.taken..self.taken + len]);
        self.taken += len;
        Ok(len)
    }
}

const PIECE_LEN: usize = 64 * 1024;
const PLAIN_LEN_MIN: usize = 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const SNAPPY_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// The version, and the least version that can read it.
const SNAPPY_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// What Java writes.
const SNAPPY_BLOCK_LEN: usize = 32 * 1024;
/// What is read.
const SNAPPY_BLOCK_LEN_MAX: usize = 16 * 1024 * 1024;
