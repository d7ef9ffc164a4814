//! Keeps a disk that fails under a mapped file from ending the process.
//!
//! Where the disk gives no page, or takes none, whoever touches the page gets a SIGBUS. In memory that is
//! [watched](Watch) an empty page then takes its place, and the watch tells of it, so that the file's user ends
//! with an error as from read() or write(). Anywhere else a SIGBUS ends the process, with a word on why.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::{io, ptr};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use signal_hook::consts::SIGBUS;
use signal_hook::low_level::emulate_default_handler;

/// Watches over the memory of a mapped file, until it is dropped. Drop it before the file is unmapped.
pub struct Watch(&'static Place);

impl Watch {
    /// Watches over this memory, all of it a mapped file's.
    pub fn over(mapped: &[u8]) -> io::Result<Watch> {
        if let Some(errno) = *INSTALLED.get_or_init(install) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let place = PLACES.iter().find(|place| place.claim());
        let place = place.ok_or_else(|| io::Error::other("too many files are mapped"))?;
        place.has_failed.store(false, SeqCst);
        place.len.store(mapped.len(), SeqCst);
        place.start.store(mapped.as_ptr().addr(), SeqCst);
        Ok(Watch(place))
    }

    /// Whether everything so far was read from the file, and all that was written can get there.
    ///
    /// # Errors
    ///
    /// If some of it was not: what was read has zeros in its place, what was written is lost.
    pub fn check(&self) -> io::Result<()> {
        match self.0.has_failed.load(SeqCst) {
            false => Ok(()),
            true => Err(Errno::IO.into()),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.len.store(0, SeqCst);
        self.0.start.store(FREE, SeqCst);
    }
}

/// What the signal's handler, which can take no lock, knows of a watch.
struct Place {
    start: AtomicUsize,
    len: AtomicUsize,
    has_failed: AtomicBool,
}

impl Place {
    const fn free() -> Place {
        Place { start: AtomicUsize::new(FREE), len: AtomicUsize::new(0), has_failed: AtomicBool::new(false) }
    }

    fn claim(&self) -> bool {
        self.start.compare_exchange(FREE, CLAIMED, SeqCst, SeqCst).is_ok()
    }

    fn contains(&self, address: usize) -> bool {
        let (start, len) = (self.start.load(SeqCst), self.len.load(SeqCst));
        start > CLAIMED && address.wrapping_sub(start) < len
    }
}

/// Has SIGBUS handled here, in place of the standard library's handler, which allows for one; what the kernel
/// says if it cannot be.
#[allow(unsafe_code, reason = "what runs in a signal's handler may do very little")]
fn install() -> Option<i32> {
    // SAFETY: all of the structure may be zero, which is no flags and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler takes no lock, allocates nothing and cannot panic: it reads atomics, makes system calls
    // that leave errno alone, and at the end calls a function that is made for handlers.
    match unsafe { libc::sigaction(SIGBUS, &action, ptr::null_mut()) } {
        0 => None,
        _ => Some(io::Error::last_os_error().raw_os_error().unwrap_or(Errno::INVAL.raw_os_error())),
    }
}

#[allow(unsafe_code, reason = "the kernel's part of it can only be believed")]
extern "C" fn handler(_: c_int, info: *const libc::siginfo_t, _: *const c_void) {
    // SAFETY: the kernel lends the structure for the call, and for SIGBUS it has an address.
    let address = unsafe { (*info).si_addr() };
    on_bus_error(address.addr(), rustix::param::page_size());
}

fn on_bus_error(address: usize, page_len: usize) {
    if let Some(place) = PLACES.iter().find(|place| place.contains(address)) {
        place.has_failed.store(true, SeqCst);
        if put_empty_page(address & !(page_len - 1), page_len) {
            return;
        }
    }
    // Nobody is left to tell if stderr is gone.
    let _ = rustix::io::write(rustix::stdio::stderr(), LAST_WORDS);
    let _ = emulate_default_handler(SIGBUS);
}

#[allow(unsafe_code, reason = "it changes what is at an address")]
fn put_empty_page(page: usize, page_len: usize) -> bool {
    let at = ptr::without_provenance_mut(page);
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
    // SAFETY: the page is in the memory of a mapped file, which its owner has still mapped, since a thread is
    // just using it, and unmaps as a whole. To that thread it is as if the file held zeros there.
    unsafe { mmap_anonymous(at, page_len, protection, flags) }.is_ok()
}

static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
static PLACES: [Place; PLACES_MAX] = [const { Place::free() }; PLACES_MAX];

/// More than are ever mapped at once.
const PLACES_MAX: usize = 256;
const FREE: usize = 0;
const CLAIMED: usize = 1;
const LAST_WORDS: &[u8] =
    b"a page of memory is gone (SIGBUS): its disk or the memory itself has failed, or a file \
    of this program's was changed while it ran. This process ends\n";

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use memmap2::MmapMut;

    use super::*;

    /// Two pages in memory, of which the file has only the first any more.
    #[allow(unsafe_code, reason = "the file is this test's own")]
    fn half_gone() -> (MmapMut, usize) {
        let page_len = rustix::param::page_size();
        let file: File = tempfile::tempfile().expect("a file");
        file.set_len(2 * page_len as u64).expect("room");
        // SAFETY: nobody else has the file; that it gets shorter is what the test is about.
        let mut map = unsafe { MmapMut::map_mut(&file) }.expect("a map");
        map[0] = b'x';
        file.set_len(page_len as u64).expect("a file that can be cut");
        (map, page_len)
    }

    #[test]
    fn a_page_that_is_gone_is_an_error_to_its_user_and_not_the_end() {
        let (mut map, page_len) = half_gone();
        let watch = Watch::over(&map).expect("a watch");
        assert_eq!(map[0], b'x');
        assert!(watch.check().is_ok());
        assert_eq!(map[page_len + 7], 0);
        assert!(watch.check().is_err());
        map[page_len] = b'y';
        assert_eq!(map[0], b'x', "the other page is as it was");
        drop(watch);
        let (other, _) = half_gone();
        let next = Watch::over(&other).expect("a watch");
        assert!(next.check().is_ok(), "a place is used again without what was");
        assert_eq!(other[page_len], 0, "more than once");
        assert!(next.check().is_err());
    }

    #[test]
    fn anywhere_else_the_process_ends_and_says_why() {
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["runtime::bus_errors::tests::dies", "--exact", "--ignored"])
            .env(DIE, "")
            .output()
            .expect("this test runs");
        assert_eq!(output.status.signal(), Some(SIGBUS));
        assert!(String::from_utf8_lossy(&output.stderr).contains("(SIGBUS)"));
    }

    #[test]
    #[ignore = "started by another test"]
    fn dies() {
        if std::env::var_os(DIE).is_some() {
            let _watch = Watch::over(b"elsewhere").expect("a watch");
            let (map, page_len) = half_gone();
            assert_eq!(map[page_len], 0, "never reached");
        }
    }

    const DIE: &str = "RINGKEEPER_TEST_DIE_BY_SIGBUS";
}
