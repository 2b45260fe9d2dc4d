//! What a journal is on disk: a directory with a lock and one database, and in it the format, the rows
//! of entries and the pieces of the snapshot.
//!
//! Holds each change as one transaction. Refuses to know who waits for it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend, StorageError, TableDefinition,
};

use super::error::{JournalError, Part};
use super::{Format, Position, Snapshot, row};

/// The version of what this file writes around the caller's bytes.
const LAYOUT: u32 = 1;
/// Its name in the database.
pub(super) const LAYOUT_KEY: &str = "layout";
/// The version of the caller's format, and its name behind it.
const FORMAT_KEY: &str = "format";
/// Where the snapshot stands, how long it is, and the checksum of both.
pub(super) const SNAPSHOT_KEY: &str = "snapshot";

/// What the database holds.
pub(super) const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");
/// Rows by the position of their first entry.
pub(super) const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
/// The pieces of the snapshot in their order, each with its checksum in front.
pub(super) const PIECES: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshot");

/// The journal's database.
const DATABASE_FILE: &str = "journal.redb";
/// One that is being made: the database does not survive a crash in its first writes.
const DRAFT_FILE: &str = "journal.draft";
/// Locked as long as the journal is open.
const LOCK_FILE: &str = "lock";

/// Bytes of a row with several entries: with what the database adds, four of its pages. Reading is as
/// fast with 64 KiB and half as fast with 4 KiB (docs/decisions/0008-journal.md).
const ROW_BYTES: usize = (16 << 10) - 256;
/// Bytes of a piece of the snapshot: the same of 256 pages.
const PIECE_BYTES: usize = (1 << 20) - 256;
/// What the database may keep in memory. The journal reads nothing twice.
const CACHE_BYTES: usize = 8 << 20;

/// The database of a journal.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    /// Kept for its lock.
    _lock: Option<File>,
}

/// What a journal held when it was opened.
#[derive(Debug)]
pub struct Recovered {
    snapshot: Option<(Position, Vec<u8>)>,
    last: Position,
    read: ReadTransaction,
}

impl Store {
    pub(super) fn open(directory: &Path, format: Format) -> Result<Store, JournalError> {
        fs::create_dir_all(directory).map_err(|error| at(directory, &error))?;
        let lock_path = directory.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| at(&lock_path, &error))?;
        let in_use = || JournalError::InUse { directory: directory.to_owned() };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(error)) => return Err(at(&lock_path, &error)),
        }
        let path = directory.join(DATABASE_FILE);
        if !path.try_exists().map_err(|error| at(&path, &error))? {
            make(directory, &path, format)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|error| at(&path, &error))?;
        let database = FileBackend::new(file).and_then(open_database).map_err(|e| match e {
            DatabaseError::DatabaseAlreadyOpen => in_use(),
            error => unopened(error),
        })?;
        Store { database, _lock: Some(lock) }.checked(format)
    }

    #[cfg(test)]
    pub(super) fn open_on(
        storage: impl StorageBackend,
        format: Format,
    ) -> Result<Store, JournalError> {
        let database = open_database(storage).map_err(unopened)?;
        Store { database, _lock: None }.checked(format)
    }

    /// Refuses another format.
    fn checked(self, format: Format) -> Result<Store, JournalError> {
        let read = self.database.begin_read().map_err(unreadable)?;
        let about = read.open_table(ABOUT).map_err(unreadable)?;
        let get = |key| about.get(key).map_err(unreadable);
        let layout = get(LAYOUT_KEY)?;
        same_version(version(layout.as_ref().map(|value| value.value()))?, LAYOUT)?;
        let stored = get(FORMAT_KEY)?;
        let stored = stored.as_ref().map_or(&[][..], |value| value.value());
        let (number, name) = stored.split_at_checked(4).ok_or_else(no_format)?;
        if name != format.name.as_bytes() {
            let found = String::from_utf8_lossy(name).into_owned();
            return Err(JournalError::Foreign { found, wanted: format.name });
        }
        same_version(version(Some(number))?, format.version)?;
        Ok(self)
    }

    /// Writes entries, the first of which has position `first`, and returns when they are on disk.
    pub(super) fn write(&self, first: Position, entries: &[Vec<u8>]) -> Result<(), JournalError> {
        let write = self.database.begin_write().map_err(unwritten)?;
        {
            let mut table = write.open_table(ENTRIES).map_err(unwritten)?;
            for (key, row) in row::rows(first, entries, ROW_BYTES) {
                table.insert(key.0, row.as_slice()).map_err(unwritten)?;
            }
        }
        write.commit().map_err(unwritten)
    }

    /// Writes a snapshot and removes what it replaces, and returns when both is on disk.
    pub(super) fn replace(&self, snapshot: &Snapshot) -> Result<(), JournalError> {
        let upto = snapshot.upto.0;
        let write = self.database.begin_write().map_err(unwritten)?;
        {
            write.delete_table(PIECES).map_err(unwritten)?;
            let mut pieces = write.open_table(PIECES).map_err(unwritten)?;
            for (at, bytes) in (0_u64..).zip(snapshot.state.chunks(PIECE_BYTES)) {
                let mut piece = Vec::with_capacity(bytes.len() + 4);
                piece.extend_from_slice(&row::checksum(at, bytes).to_le_bytes());
                piece.extend_from_slice(bytes);
                pieces.insert(at, piece.as_slice()).map_err(unwritten)?;
            }
            let mut about = write.open_table(ABOUT).map_err(unwritten)?;
            let head = SnapshotHead { upto, length: snapshot.state.len() as u64 };
            about.insert(SNAPSHOT_KEY, head.bytes().as_slice()).map_err(unwritten)?;

            let mut rows = write.open_table(ENTRIES).map_err(unwritten)?;
            // The last row that begins before the end may reach beyond it. It stays, unless the next
            // one begins right there; who reads skips what the snapshot holds.
            let next_begins = rows.range(upto + 1..).map_err(unwritten)?.next();
            let next_begins = next_begins.transpose().map_err(unwritten)?;
            let exact = next_begins.is_some_and(|(key, _)| key.value() == upto + 1);
            let keep = match exact {
                true => None,
                false => {
                    let last = rows.range(..=upto).map_err(unwritten)?.next_back();
                    last.transpose().map_err(unwritten)?.map(|(key, _)| key.value())
                }
            };
            rows.retain_in(..=upto, |key, _| Some(key) == keep).map_err(unwritten)?;
        }
        write.commit().map_err(unwritten)
    }

    /// What there is: the snapshot, and where the entries end.
    pub(super) fn recover(&self) -> Result<Recovered, JournalError> {
        let read = self.database.begin_read().map_err(unreadable)?;
        let snapshot = read_snapshot(&read)?;
        let replaced = snapshot.as_ref().map_or(Position::NONE, |(at, _)| *at);
        let rows = read.open_table(ENTRIES).map_err(unreadable)?;
        let mut last = replaced;
        if let Some((key, row)) = rows.last().map_err(unreadable)? {
            for entry in row::entries(Position(key.value()), row.value()) {
                last = last.max(entry?.0);
            }
        }
        drop(rows);
        Ok(Recovered { snapshot, last, read })
    }

    /// Leaves a database that is opened again without repair.
    pub(super) fn close(self) -> Result<(), JournalError> {
        self.database.close().map_err(unwritten)
    }
}

impl Recovered {
    /// The state after the entry at the position, if a snapshot was taken.
    pub fn snapshot(&self) -> Option<(Position, &[u8])> {
        self.snapshot.as_ref().map(|(at, state)| (*at, state.as_slice()))
    }

    /// The last entry, the snapshot's included.
    pub fn last(&self) -> Position {
        self.last
    }

    /// Hands over the entries after the snapshot in their order, without holding more than a row of
    /// them, and returns the position of the last.
    ///
    /// # Errors
    /// An entry is damaged or missing, or `each` returns an error; nothing is handed over after that.
    pub fn replay<E: From<JournalError>>(
        self,
        mut each: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<Position, E> {
        let mut last = self.snapshot().map_or(Position::NONE, |(at, _)| at);
        let replaced = last;
        let rows = self.read.open_table(ENTRIES).map_err(unreadable)?;
        for row in rows.range_owned::<u64>(..).map_err(unreadable)? {
            let (key, bytes) = row.map_err(unreadable)?;
            for entry in row::entries(Position(key.value()), bytes.value()) {
                let (at, entry) = entry?;
                if at <= replaced {
                    continue;
                }
                if at != last.later(1) {
                    return Err(JournalError::Damaged {
                        part: Part::Entry,
                        position: last.later(1),
                        why: "it is missing",
                    }
                    .into());
                }
                each(at, entry)?;
                last = at;
            }
        }
        Ok(last)
    }
}

/// What is known of a snapshot before its pieces are read.
struct SnapshotHead {
    upto: u64,
    length: u64,
}

impl SnapshotHead {
    fn bytes(&self) -> Vec<u8> {
        let length = self.length.to_le_bytes();
        let sum = row::checksum(self.upto, &length).to_le_bytes();
        [&self.upto.to_le_bytes()[..], &length, &sum].concat()
    }

    fn read(bytes: &[u8]) -> Option<SnapshotHead> {
        let (upto, rest) = bytes.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let upto = u64::from_le_bytes(*upto);
        let head = SnapshotHead { upto, length: u64::from_le_bytes(*length) };
        (head.bytes() == bytes).then_some(head)
    }
}

fn read_snapshot(read: &ReadTransaction) -> Result<Option<(Position, Vec<u8>)>, JournalError> {
    let about = read.open_table(ABOUT).map_err(unreadable)?;
    let Some(head) = about.get(SNAPSHOT_KEY).map_err(unreadable)? else { return Ok(None) };
    let Some(head) = SnapshotHead::read(head.value()) else {
        return Err(JournalError::Unreadable { why: "no telling where the snapshot ends".into() });
    };
    let position = Position(head.upto);
    let damaged = |why| JournalError::Damaged { part: Part::Snapshot, position, why };
    let mut state = Vec::new();
    let pieces = read.open_table(PIECES).map_err(unreadable)?;
    for (at, piece) in (0_u64..).zip(pieces.iter().map_err(unreadable)?) {
        let (key, piece) = piece.map_err(unreadable)?;
        let piece = piece.value();
        let (sum, bytes) = piece.split_first_chunk().ok_or_else(|| damaged("a piece is cut"))?;
        if key.value() != at {
            return Err(damaged("a piece is missing"));
        }
        if row::checksum(at, bytes) != u32::from_le_bytes(*sum) {
            return Err(damaged("its checksum differs"));
        }
        state.extend_from_slice(bytes);
    }
    if state.len() as u64 != head.length {
        return Err(damaged("a piece is missing"));
    }
    Ok(Some((position, state)))
}

/// Makes an empty journal at `path`, which is there wholly or not at all.
fn make(directory: &Path, path: &Path, format: Format) -> Result<(), JournalError> {
    let draft = directory.join(DRAFT_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&draft);
    let file = file.map_err(|error| at(&draft, &error))?;
    let database = FileBackend::new(file).and_then(open_database).map_err(unwritten)?;
    begin(&database, format)?;
    database.close().map_err(unwritten)?;
    fs::rename(&draft, path).map_err(|error| at(&draft, &error))?;
    // The name is on disk when the directory is. Elsewhere directories cannot be opened.
    if cfg!(unix) {
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| at(directory, &error))?;
    }
    Ok(())
}

/// Writes the format, and the tables.
pub(super) fn begin(database: &Database, format: Format) -> Result<(), JournalError> {
    let write = database.begin_write().map_err(unwritten)?;
    {
        let mut about = write.open_table(ABOUT).map_err(unwritten)?;
        about.insert(LAYOUT_KEY, LAYOUT.to_le_bytes().as_slice()).map_err(unwritten)?;
        let stored = [&format.version.to_le_bytes()[..], format.name.as_bytes()].concat();
        about.insert(FORMAT_KEY, stored.as_slice()).map_err(unwritten)?;
        write.open_table(ENTRIES).map_err(unwritten)?;
        write.open_table(PIECES).map_err(unwritten)?;
    }
    write.commit().map_err(unwritten)
}

pub(super) fn open_database(storage: impl StorageBackend) -> Result<Database, DatabaseError> {
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(storage)
}

fn same_version(found: u32, reads: u32) -> Result<(), JournalError> {
    match found.cmp(&reads) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(JournalError::Newer { found, reads }),
        std::cmp::Ordering::Less => Err(JournalError::Older { found, reads }),
    }
}

fn version(bytes: Option<&[u8]>) -> Result<u32, JournalError> {
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(no_format)?;
    Ok(u32::from_le_bytes(bytes))
}

fn no_format() -> JournalError {
    JournalError::Unreadable { why: "it does not say what it holds".into() }
}

fn at(path: &Path, error: &std::io::Error) -> JournalError {
    JournalError::Path { path: path.to_owned(), why: error.to_string() }
}

fn unopened(error: DatabaseError) -> JournalError {
    match error {
        DatabaseError::Storage(StorageError::Corrupted(why)) => JournalError::Unreadable { why },
        error => JournalError::Unreadable { why: error.to_string() },
    }
}

fn unreadable(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Unreadable { why: error.into().to_string() }
}

fn unwritten(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Write { why: error.into().to_string() }
}
