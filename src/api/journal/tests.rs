//! What a journal promises, on directories and on a disk that fails, forgets and holds back.

mod damage;
mod disk;
mod faults;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::store::{self, Store};
use super::*;
use disk::Disk;

const FORMAT: Format = Format { name: "test", version: 1 };

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Directory {
        let path = env::temp_dir().join(format!("vpclab-journal-{}-{test}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Directory(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn open(&self) -> (Journal, Recovered) {
        Journal::open(&self.0, FORMAT).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The journal on a disk, as [`Journal::open`] has it in a directory.
fn open_on(disk: &Disk) -> Result<(Journal, Recovered), JournalError> {
    Journal::start(Store::open_on(disk.clone(), FORMAT)?)
}

/// A disk with an empty journal, closed.
fn fresh_disk() -> Disk {
    let disk = Disk::default();
    let database = store::open_database(disk.clone()).unwrap();
    store::begin(&database, FORMAT).unwrap();
    database.close().unwrap();
    disk
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What entry `at` says. Some are empty, some longer than a row.
fn text(at: u64) -> Vec<u8> {
    let length = match at % 50 {
        7 => 0,
        13 => 40_000,
        n => usize::try_from(n).unwrap() * 5,
    };
    let mut out = format!("entry {at} ").into_bytes();
    out.resize(length.max(if length == 0 { 0 } else { out.len() }), b'.');
    out
}

/// What the snapshot after entry `at` says.
fn state(at: u64) -> Vec<u8> {
    format!("state {at} ").into_bytes().repeat(150_000)
}

fn append(journal: &Journal, entries: std::ops::RangeInclusive<u64>) {
    for at in entries {
        assert_eq!(journal.append(text(at)).get(), at);
    }
}

/// Everything in it: what it says must be what was written, and nothing be left out. Returns the
/// position of the snapshot and of the last entry.
fn read(recovered: Recovered) -> Result<(u64, u64), JournalError> {
    let snapshot = recovered.snapshot().map(|(at, bytes)| (at.get(), bytes.to_vec()));
    let begin = snapshot.as_ref().map_or(0, |(at, _)| *at);
    if let Some((at, bytes)) = snapshot {
        assert!(bytes == state(at), "another state");
    }
    let said = recovered.last().get();
    let mut next = begin + 1;
    let last = recovered.replay(|at, entry| {
        assert_eq!(at.get(), next);
        assert!(entry == text(next), "entry {next} differs");
        next += 1;
        Ok::<_, JournalError>(())
    })?;
    assert_eq!((last.get(), said), (next - 1, next - 1));
    Ok((begin, next - 1))
}

#[test]
fn entries_come_back_in_their_order() {
    let directory = Directory::new("order");
    let (journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (0, 0));
    assert_eq!(journal.position(), Position::NONE);
    wait(journal.durable(Position::NONE)).unwrap();
    append(&journal, 1..=300);
    assert_eq!(journal.position().get(), 300);
    wait(journal.durable(journal.position())).unwrap();
    append(&journal, 301..=500);
    journal.close().unwrap();
    journal.close().unwrap();
    drop(journal);

    let (journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (0, 500));
    append(&journal, 501..=600);
    // Dropping it writes as well.
    drop(journal);
    let (_journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (0, 600));
}

#[test]
fn a_closed_journal_takes_nothing() {
    let directory = Directory::new("closed");
    let (journal, _) = directory.open();
    append(&journal, 1..=1);
    journal.close().unwrap();
    append(&journal, 2..=2);
    assert_eq!(wait(journal.durable(Position(1))), Ok(()));
    assert_eq!(wait(journal.durable(Position(2))), Err(JournalError::Closed));
    journal.snapshot(Position(1), state(1));
    assert!(journal.has_room());
    drop(journal);
    let (_journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (0, 1));
}

#[test]
fn a_snapshot_replaces_what_is_before_it() {
    // (appended, snapshot after, appended then) in one group or with a wait after each.
    for (first, upto, then) in [
        (0, 0, 5),
        (1, 1, 0),
        (300, 300, 0),
        (300, 300, 200),
        (300, 120, 0),
        (300, 299, 50),
        (40, 1, 1),
    ] {
        for in_groups in [true, false] {
            let directory = Directory::new("snapshot");
            let (journal, _) = directory.open();
            for at in 1..=first {
                append(&journal, at..=at);
                if !in_groups {
                    wait(journal.durable(Position(at))).unwrap();
                }
            }
            wait(journal.durable(journal.position())).unwrap();
            journal.snapshot(Position(upto), state(upto));
            append(&journal, first + 1..=first + then);
            drop(journal);
            let (journal, recovered) = directory.open();
            assert_eq!(read(recovered).unwrap(), (upto, first + then), "{first} {upto} {then}");
            drop(journal);
            let (_, rows) = contents(directory.path());
            let replaced = rows.iter().filter(|key| **key <= upto).count();
            assert!(replaced <= 1, "{rows:?} up to {upto}");
        }
    }
}

#[test]
fn a_later_snapshot_replaces_an_earlier_one() {
    let directory = Directory::new("snapshots");
    let (journal, _) = directory.open();
    append(&journal, 1..=100);
    journal.snapshot(Position(100), state(100));
    append(&journal, 101..=150);
    journal.snapshot(Position(140), state(140));
    // Behind the end, and before the latest.
    journal.snapshot(Position(151), state(151));
    journal.snapshot(Position(120), state(120));
    drop(journal);
    let (journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (140, 150));
    journal.snapshot(Position(100), state(100));
    journal.snapshot(Position(150), state(150));
    drop(journal);
    let (_journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (150, 150));
}

#[test]
fn a_snapshot_is_due_by_what_was_appended() {
    let disk = fresh_disk();
    let (journal, _) = open_on(&disk).unwrap();
    assert!(!journal.wants_snapshot());
    let half = usize::try_from(JOURNAL_BYTES_BEFORE_SNAPSHOT / 2).unwrap();
    journal.append(vec![0; half]);
    assert!(!journal.wants_snapshot());
    journal.append(vec![0; half]);
    assert!(journal.wants_snapshot());
    journal.snapshot(journal.position(), Vec::new());
    assert!(!journal.wants_snapshot());
    for _ in 0..JOURNAL_ENTRIES_BEFORE_SNAPSHOT {
        journal.append(Vec::new());
    }
    assert!(journal.wants_snapshot());
    journal.close().unwrap();
    // It is known after a start as well.
    let (journal, _) = open_on(&disk).unwrap();
    assert!(journal.wants_snapshot());
}

/// Eight threads, each of which appends the next entry as soon as its last one is durable.
#[test]
fn threads_share_the_disk() {
    const EACH: u8 = 50;
    let directory = Directory::new("threads");
    let (journal, _) = directory.open();
    let journal = Arc::new(journal);
    let threads: Vec<_> = (0..8_u8)
        .map(|thread| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || {
                for n in 0..EACH {
                    let at = journal.append(vec![thread, n]);
                    wait(journal.durable(at)).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(journal.position().get(), 8 * u64::from(EACH));
    drop(journal);
    let (_journal, recovered) = directory.open();
    let mut next = [0; 8];
    let last = recovered.replay(|_, entry| {
        let [thread, n] = entry else { panic!("{entry:?}") };
        assert_eq!(next[usize::from(*thread)], *n);
        next[usize::from(*thread)] += 1;
        Ok::<_, JournalError>(())
    });
    assert_eq!(last.unwrap().get(), 8 * u64::from(EACH));
    assert_eq!(next, [EACH; 8]);
}

/// What was appended while the disk was busy is written at once.
#[test]
fn entries_are_committed_in_groups() {
    let disk = fresh_disk();
    let (journal, _) = open_on(&disk).unwrap();
    let before = disk.syncs();
    append(&journal, 1..=1);
    wait(journal.durable(Position(1))).unwrap();
    let of_one = disk.syncs() - before;
    assert!(of_one > 0);

    disk.hold();
    append(&journal, 2..=2);
    disk.until_held();
    // Short ones: the file is synced also when it grows.
    for _ in 3..=200 {
        journal.append(vec![3]);
    }
    assert_eq!(wait(journal.durable(Position(1))), Ok(()));
    let before = disk.syncs();
    disk.release();
    wait(journal.durable(Position(200))).unwrap();
    let syncs = disk.syncs() - before;
    assert!(syncs <= 2 * of_one, "{syncs} syncs, {of_one} of one entry");
}

/// The queue says when it is full, and takes entries nevertheless.
#[test]
fn a_slow_disk_is_noticed() {
    let disk = fresh_disk();
    let (journal, _) = open_on(&disk).unwrap();
    disk.hold();
    append(&journal, 1..=1);
    disk.until_held();
    assert!(journal.has_room());
    journal.append(vec![1; JOURNAL_QUEUE_BYTES_MAX]);
    assert!(!journal.has_room());
    let last = journal.append(vec![1]);
    disk.release();
    wait(journal.durable(last)).unwrap();
    assert!(journal.has_room());
}

#[test]
fn one_journal_at_a_time() {
    let directory = Directory::new("two");
    let (journal, _) = directory.open();
    let error = Journal::open(directory.path(), FORMAT).unwrap_err();
    let path = directory.path().display();
    assert_eq!(error.to_string(), format!("{path} is in use by another vpclab"));
    append(&journal, 1..=3);
    journal.close().unwrap();
    let (_journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (0, 3));
}

#[test]
fn another_format_is_refused() {
    let directory = Directory::new("format");
    let (journal, _) =
        Journal::open(directory.path(), Format { name: "test", version: 2 }).unwrap();
    append(&journal, 1..=3);
    drop(journal);
    for (name, version, message) in [
        ("test", 1, "written by a newer vpclab (format 2; this one reads 1)"),
        ("test", 3, "written by an older vpclab (format 2; this one reads 3)"),
        ("tests", 2, "holds the journal of `test`, not of `tests`"),
    ] {
        let error = Journal::open(directory.path(), Format { name, version }).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let (journal, recovered) =
        Journal::open(directory.path(), Format { name: "test", version: 2 }).unwrap();
    assert_eq!(read(recovered).unwrap(), (0, 3));
    drop(journal);
    alter(directory.path(), |write| {
        let mut about = write.open_table(store::ABOUT).unwrap();
        about.insert(store::LAYOUT_KEY, 7_u32.to_le_bytes().as_slice()).unwrap();
    });
    let error = Journal::open(directory.path(), FORMAT).unwrap_err();
    assert_eq!(error.to_string(), "written by a newer vpclab (format 7; this one reads 1)");
}

#[test]
fn an_unusable_directory_is_named() {
    let directory = Directory::new("unusable");
    std::fs::create_dir_all(directory.path()).unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let error = Journal::open(&file, FORMAT).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", file.display())), "{error}");
    let within = file.join("below");
    let error = Journal::open(&within, FORMAT).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", within.display())), "{error}");
}

/// A crash while the first files are made leaves nothing that stands in the way.
#[test]
fn a_draft_is_made_anew() {
    let directory = Directory::new("draft");
    std::fs::create_dir_all(directory.path()).unwrap();
    std::fs::write(directory.path().join("journal.draft"), "half a database").unwrap();
    let (journal, recovered) = directory.open();
    assert_eq!(read(recovered).unwrap(), (0, 0));
    append(&journal, 1..=1);
    journal.close().unwrap();
    assert!(!directory.path().join("journal.draft").exists());
}

/// Changes the database behind the journal's back.
fn alter(directory: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(directory.join("journal.redb")).unwrap();
    let write = database.begin_write().unwrap();
    change(&write);
    write.commit().unwrap();
}

/// The first pieces and the keys of the rows that are stored.
fn contents(directory: &Path) -> (Vec<u64>, Vec<u64>) {
    use redb::{ReadableDatabase, ReadableTable};
    let database = redb::Database::open(directory.join("journal.redb")).unwrap();
    let read = database.begin_read().unwrap();
    let keys = |table| {
        let table = read.open_table(table).unwrap();
        table.iter().unwrap().map(|row| row.unwrap().0.value()).collect()
    };
    (keys(store::PIECES), keys(store::ENTRIES))
}
