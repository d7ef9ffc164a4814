//! A disk that does what a test wants.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// An ext4 file system on a loop device.
///
/// The disk fails when the kernel is told that the device ends right after its start: all reads and writes that
/// reach it are then errors, while the data stays as it is.
///
/// It is taken apart when this is dropped, and also when the test dies without that: a process of its own waits
/// for the end.
pub(crate) struct Disk {
    folder: PathBuf,
    /// The loop device.
    device: String,
    /// Where the file system is: there, or on a partition of it.
    holder: String,
    janitor: Child,
}

impl Disk {
    /// A disk of this size; `None` where this machine allows none.
    pub(crate) fn new(mib: u64) -> Option<Disk> {
        is_possible().then(|| Disk::build(new_folder(), mib, false))
    }

    /// A disk with a partition.
    pub(crate) fn with_partition(mib: u64) -> Option<Disk> {
        is_possible().then(|| Disk::build(new_folder(), mib, true))
    }

    /// A disk that claims to be of this size and has room for no more than `really`, as a thinly provisioned
    /// volume may.
    pub(crate) fn thin(mib: u64, really: u64) -> Option<Disk> {
        is_possible().then(|| {
            let folder = new_folder();
            let options = format!("size={really}m");
            run("mount", &["-t", "tmpfs", "-o", &options, "thin", &text(&image_folder(&folder))]);
            Disk::build(folder, mib, false)
        })
    }

    fn build(folder: PathBuf, mib: u64, has_partition: bool) -> Disk {
        let image = image_of(&folder);
        File::create_new(&image).and_then(|file| file.set_len(mib << 20)).expect("a sparse file");
        let device = attach(&folder);
        let janitor = start_janitor(&folder, &device);
        let mut disk = Disk { folder, holder: device.clone(), device, janitor };
        if has_partition {
            run("addpart", &[&disk.device, "1", "0", &(mib << 11).to_string()]);
            disk.holder.push_str("p1");
        }
        let now = "lazy_itable_init=0,lazy_journal_init=0";
        run("mkfs.ext4", &["-q", "-b", "4096", "-m", "0", "-E", now, &disk.holder]);
        disk.mount();
        disk
    }

    /// A folder on the disk.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.mount_point().join("data");
        fs::create_dir_all(&folder).expect("a file system that can be written to");
        folder
    }

    /// A folder for a server's files that even root cannot make files in.
    pub(crate) fn immutable_folder(&self) -> PathBuf {
        let folder = self.folder();
        fs::create_dir(folder.join("version-2")).expect("a file system that can be written to");
        run("chattr", &["+i", &text(&folder.join("version-2"))]);
        folder
    }

    /// From now on every read and write of the device is an error.
    pub(crate) fn fail(&self) {
        self.limit("512");
    }

    /// The device works again. What was written meanwhile is lost, and the file system has seen errors: it is
    /// checked and mounted anew, with nothing in memory of what it was. Nobody may have a file open on it.
    pub(crate) fn heal(&mut self) {
        // Before the device works: what the file system still has to write would reach it, in part.
        self.unmount();
        // Another device with the same bytes: what the kernel remembers of this one is partly of the time when it
        // did not work, and e2fsck and the file system have been seen to differ over it.
        run("losetup", &["--detach", &self.device]);
        self.device = attach(&self.folder);
        self.holder.clone_from(&self.device);
        self.repair();
    }

    /// From now on nothing that writes comes back, until the disk [goes on](Disk::go_on). What was read before can be
    /// read.
    pub(crate) fn hang(&self) {
        run("fsfreeze", &["--freeze", &text(&self.mount_point())]);
    }

    /// What was asked of a disk that hangs is done.
    pub(crate) fn go_on(&self) {
        run("fsfreeze", &["--unfreeze", &text(&self.mount_point())]);
    }

    /// Takes the file system down, repairs it, and mounts it again.
    pub(crate) fn check(&self) {
        self.unmount();
        self.repair();
    }

    fn repair(&self) {
        let output = Command::new("e2fsck").args(["-fy", &self.holder]).output().expect("e2fsck runs");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        // 1: errors were corrected.
        assert!(matches!(output.status.code(), Some(0 | 1)), "e2fsck: {}: {said:?}", output.status);
        self.mount();
    }

    fn unmount(&self) {
        run("umount", &[&text(&self.mount_point())]);
    }

    /// Makes a [thin](Disk::thin) disk's room this much.
    pub(crate) fn thicken(&self, really: u64) {
        let options = format!("remount,size={really}m");
        run("mount", &["-o", &options, &text(&image_folder(&self.folder))]);
    }

    /// Has another file take all room but about `left` bytes.
    pub(crate) fn fill(&self, left: u64) {
        let ballast = File::create(self.ballast()).expect("a file");
        let (mut len, mut step) = (0, self.free());
        // The server may be taking some of it meanwhile.
        while step >= BLOCK_LEN && self.free() >= left + BLOCK_LEN {
            step = step.min(self.free() - left);
            match fallocate(&ballast, FallocateFlags::empty(), len, step) {
                Ok(()) => len += step,
                Err(Errno::NOSPC) => step /= 2,
                Err(errno) => panic!("{errno}"),
            }
        }
    }

    /// Removes the file that takes the room.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the file that takes the room");
    }

    /// Allows no more writing.
    pub(crate) fn make_read_only(&self) {
        run("mount", &["-o", "remount,ro", &text(&self.mount_point())]);
    }

    fn free(&self) -> u64 {
        let space = statvfs(self.mount_point()).expect("a file system");
        space.f_bavail * space.f_frsize
    }

    fn mount(&self) {
        run("mount", &[&self.holder, &text(&self.mount_point())]);
    }

    /// Has the device end after so many bytes.
    fn limit(&self, bytes: &str) {
        run("perl", &["-e", LIMIT_LOOP_DEVICE, &self.device, bytes]);
    }

    fn mount_point(&self) -> PathBuf {
        mount_point(&self.folder)
    }

    fn ballast(&self) -> PathBuf {
        self.mount_point().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// A file system of a kind that needs no device, mounted as long as this lives.
pub(crate) struct MemoryDisk {
    folder: PathBuf,
    janitor: Child,
}

impl MemoryDisk {
    /// One of this kind; `None` where this machine allows none.
    pub(crate) fn of(kind: &str) -> Option<MemoryDisk> {
        is_possible().then(|| {
            let folder = new_folder();
            let janitor = start_janitor(&folder, "none");
            run("mount", &["-t", kind, kind, &text(&mount_point(&folder))]);
            MemoryDisk { folder, janitor }
        })
    }

    /// A folder on it.
    pub(crate) fn folder(&self) -> PathBuf {
        mount_point(&self.folder)
    }
}

impl Drop for MemoryDisk {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// Whether this machine allows file systems to be mounted; says why if it does not.
fn is_possible() -> bool {
    let reason = if !rustix::process::geteuid().is_root() {
        "only root may mount a file system"
    } else if !Path::new("/dev/loop-control").exists() {
        "there are no loop devices"
    } else if Command::new("unshare")
        .args(["--mount", "true"])
        .status()
        .map_or(true, |status| !status.success())
    {
        "mounting is forbidden here"
    } else {
        return true;
    };
    #[expect(clippy::print_stderr, reason = "who runs the tests is told what was not run")]
    {
        eprintln!("skipped: {reason}");
    }
    false
}

/// Waits until this process lets go of it, in whatever way it ends, and takes everything apart.
fn start_janitor(folder: &Path, device: &str) -> Child {
    Command::new("sh")
        .args(["-c", TAKE_APART, "janitor", &text(folder), device])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the tests.
        .process_group(0)
        .spawn()
        .expect("a shell")
}

/// A server that is just ending may still have a file open: then the file system goes with it.
const TAKE_APART: &str = r#"
    cat
    fsfreeze --unfreeze "$1/mounted"
    umount "$1/mounted" || umount --lazy "$1/mounted"
    delpart "$2" 1
    losetup --noheadings --output NAME --associated "$1/image/image" | xargs --no-run-if-empty losetup --detach
    umount "$1/image" || umount --lazy "$1/image"
    rm --recursive --one-file-system "$1"
"#;

/// No program of util-linux does this while the device is in use. The numbers are LOOP_GET_STATUS64 and
/// LOOP_SET_STATUS64, and the place of `lo_sizelimit` in `struct loop_info64`.
const LIMIT_LOOP_DEVICE: &str = r#"
    my ($device, $limit) = @ARGV;
    open(my $file, "+<", $device) or die "$device: $!";
    my $info = "\0" x 232;
    ioctl($file, 0x4C05, $info) or die "LOOP_GET_STATUS64: $!";
    substr($info, 32, 8) = pack("Q", $limit);
    ioctl($file, 0x4C04, $info) or die "LOOP_SET_STATUS64: $!";
"#;

const BLOCK_LEN: u64 = 4096;

fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("ringkeeper-disk-").tempdir().expect("a folder").keep();
    for part in [mount_point(&folder), image_folder(&folder)] {
        fs::create_dir(part).expect("a folder");
    }
    folder
}

fn mount_point(folder: &Path) -> PathBuf {
    folder.join("mounted")
}

/// A loop device with the folder's image.
fn attach(folder: &Path) -> String {
    run("losetup", &["--find", "--show", &text(&image_of(folder))]).trim().to_owned()
}

fn image_of(folder: &Path) -> PathBuf {
    image_folder(folder).join("image")
}

fn image_folder(folder: &Path) -> PathBuf {
    folder.join("image")
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error: io::Error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
