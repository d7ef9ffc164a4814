//! A disk that may lose what was not synced.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringkeeper::storage::disk::{Access, Disk, Os};

/// The files of one folder by name.
pub(super) type Image = BTreeMap<String, Vec<u8>>;

/// One folder of a real file system, and what of it is durable. After each step it is asked what a crash
/// would leave, with what [`ModelDisk::crash_points`] gets.
pub(super) struct ModelDisk {
    dir: PathBuf,
    state: Mutex<State>,
    on_step: Box<dyn Fn(&mut State) + Send + Sync>,
}

/// What is durable, and what is not yet.
pub(super) struct State {
    files: Vec<Content>,
    /// The files that are there now, by inode.
    numbers: HashMap<u64, usize>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What has happened to names since the folder was last synced.
    pending: Vec<Change>,
}

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    now: Vec<u8>,
}

enum Change {
    Name(String, usize),
    Rename { from: String, to: String, file: usize },
    Unname(String, usize),
}

impl ModelDisk {
    /// Fills an empty folder with an image, all of it durable. `on_step` runs after each step.
    pub(super) fn new(
        dir: &Path,
        image: &Image,
        on_step: impl Fn(&mut State) + Send + Sync + 'static,
    ) -> ModelDisk {
        let mut state = State {
            files: Vec::new(),
            numbers: HashMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
        };
        for (name, bytes) in image {
            let path = dir.join(name);
            fs::write(&path, bytes).expect("room");
            let inode = fs::metadata(&path).expect("written").ino();
            state.numbers.insert(inode, state.files.len());
            state.names.insert(name.clone(), state.files.len());
            state.files.push(Content { durable: bytes.clone(), now: bytes.clone() });
        }
        state.durable_names = state.names.clone();
        ModelDisk { dir: dir.to_owned(), state: Mutex::new(state), on_step: Box::new(on_step) }
    }

    /// Has only this of a file be durable.
    pub(super) fn unsync(&self, name: &str, durable: &[u8]) {
        let mut state = self.state();
        let number = state.names[name];
        state.files[number].durable = durable.to_vec();
    }

    /// What a crash now would leave.
    pub(super) fn crash(&self, random: &mut fastrand::Rng) -> Image {
        self.state().crash(random)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, change: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        change(&mut state)?;
        (self.on_step)(&mut state);
        Ok(())
    }

    fn name_of(&self, path: &Path) -> String {
        assert_eq!(path.parent(), Some(&*self.dir), "the model is of one folder");
        path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned()
    }
}

impl Disk for ModelDisk {
    fn create(&self, path: &Path, _: Access) -> io::Result<File> {
        let name = self.name_of(path);
        let file = Os.create(path, Access::Buffered)?;
        let inode = file.metadata()?.ino();
        self.step(|state| {
            if let Some(number) = state.names.get(&name) {
                state.files[*number].now.clear();
                return Ok(());
            }
            let number = state.files.len();
            state.files.push(Content::default());
            state.numbers.insert(inode, number);
            state.names.insert(name.clone(), number);
            state.pending.push(Change::Name(name, number));
            Ok(())
        })?;
        Ok(file)
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<File> {
        Os.open(path, Access::Buffered)
    }

    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        Os.reserve(file, len)?;
        self.step(|state| {
            state.content(file)?.now.resize(len as usize, 0);
            Ok(())
        })
    }

    fn allocate(&self, file: &File, part: Range<u64>) -> io::Result<()> {
        Os.allocate(file, part.clone())?;
        self.step(|state| {
            let now = &mut state.content(file)?.now;
            now.resize(now.len().max(part.end as usize), 0);
            Ok(())
        })
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        Os.write_at(file, bytes, offset)?;
        self.step(|state| state.content(file)?.write(bytes, offset))
    }

    fn write_mapped(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        assert!(file.metadata()?.len() >= end, "a map of what the file does not have");
        Os.write_mapped(file, bytes, offset)?;
        self.step(|state| state.content(file)?.write(bytes, offset))
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        Os.set_len(file, len)?;
        self.step(|state| {
            state.content(file)?.now.resize(len as usize, 0);
            Ok(())
        })
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(|state| {
            let content = state.content(file)?;
            content.durable.clone_from(&content.now);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_name, to_name) = (self.name_of(from), self.name_of(to));
        Os.rename(from, to)?;
        self.step(|state| {
            let file = state.names.remove(&from_name).expect("it was there");
            state.names.insert(to_name.clone(), file);
            state.pending.push(Change::Rename { from: from_name, to: to_name, file });
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = self.name_of(path);
        Os.remove(path)?;
        self.step(|state| {
            let file = state.names.remove(&name).expect("it was there");
            state.pending.push(Change::Unname(name, file));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        assert_eq!(dir, self.dir);
        self.step(|state| {
            state.durable_names = state.names.clone();
            state.pending.clear();
            Ok(())
        })
    }
}

impl State {
    /// Any of the changes to names, in their order, and any of the sectors that are not durable. Each time
    /// it is decided anew how likely either is to survive.
    pub(super) fn crash(&self, random: &mut fastrand::Rng) -> Image {
        let mut names = self.durable_names.clone();
        let chance = random.u8(0..=10);
        for change in self.pending.iter().filter(|_| random.u8(0..10) < chance) {
            match change {
                Change::Name(name, file) => {
                    names.insert(name.clone(), *file);
                }
                Change::Rename { from, to, file } => {
                    if names.get(from) == Some(file) {
                        names.remove(from);
                    }
                    names.insert(to.clone(), *file);
                }
                Change::Unname(name, file) => {
                    if names.get(name) == Some(file) {
                        names.remove(name);
                    }
                }
            }
        }
        names.into_iter().map(|(name, file)| (name, self.files[file].crash(random))).collect()
    }

    fn content(&mut self, file: &File) -> io::Result<&mut Content> {
        let number = self.numbers[&file.metadata()?.ino()];
        Ok(&mut self.files[number])
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset as usize + bytes.len();
        self.now.resize(self.now.len().max(end), 0);
        self.now[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn crash(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        if self.durable == self.now {
            return self.durable.clone();
        }
        let mut left = self.durable.clone();
        if random.bool() {
            left.resize(self.now.len(), 0);
        }
        let chance = random.u8(0..=10);
        for (sector, now) in left.chunks_mut(SECTOR_LEN).zip(self.now.chunks(SECTOR_LEN)) {
            if random.u8(0..10) < chance {
                let len = sector.len().min(now.len());
                sector[..len].copy_from_slice(&now[..len]);
            }
        }
        left
    }
}

impl fmt::Debug for ModelDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a model of {}", self.dir.display())
    }
}

const SECTOR_LEN: usize = 512;
