//! Whatever is damaged: the load ends with an error that says where, and never shows what was not
//! written.

use super::super::row;
use super::*;
use redb::ReadableTable;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A journal with a snapshot after entry 40 and some entries behind it, closed.
fn closed() -> Vec<u8> {
    let disk = fresh_disk();
    fill(&disk).close().unwrap();
    disk.bytes()
}

/// The same, and the process was killed.
fn killed() -> Vec<u8> {
    let disk = fresh_disk();
    let _journal = fill(&disk);
    disk.bytes()
}

fn fill(disk: &Disk) -> Journal {
    let (journal, _) = open_on(disk).unwrap();
    append(&journal, 1..=30);
    wait(journal.durable(Position(30))).unwrap();
    append(&journal, 31..=60);
    journal.snapshot(Position(40), b"state 40 ".repeat(2_000));
    for at in 61..=80 {
        append(&journal, at..=at);
        wait(journal.durable(Position(at))).unwrap();
    }
    journal
}

/// What is in the journal on these bytes: the last entry.
fn load(bytes: Vec<u8>) -> Result<u64, JournalError> {
    let (_journal, recovered) = open_on(&Disk::with(bytes))?;
    let (snapshot, state) = recovered.snapshot().unwrap_or_default();
    assert!(snapshot.get() == 0 || snapshot.get() == 40);
    assert!(state == b"state 40 ".repeat(if snapshot.get() == 0 { 0 } else { 2_000 }));
    let mut next = snapshot.get() + 1;
    let last = recovered.replay(|at, entry| {
        assert_eq!(at.get(), next);
        assert!(entry == text(next));
        next += 1;
        Ok::<_, JournalError>(())
    })?;
    Ok(last.get())
}

/// Loads a damaged journal: an error with words, or what was there, at least up to `least`.
fn check(bytes: Vec<u8>, least: u64, why: &str) -> bool {
    match catch_unwind(AssertUnwindSafe(|| load(bytes))) {
        Ok(Ok(last)) => {
            assert!((least..=80).contains(&last), "{last} entries: {why}");
            false
        }
        Ok(Err(error)) => {
            assert!(!error.to_string().is_empty());
            true
        }
        Err(_) => panic!("panicked: {why}"),
    }
}

fn flips(image: &[u8], least: u64, step: usize) -> usize {
    let flip = |at: usize| {
        let mut bytes = image.to_vec();
        bytes[at] ^= 1 << (at % 8);
        check(bytes, least, &format!("byte {at} of {}", image.len()))
    };
    // The head of the file wholly.
    let heads = 0..320_usize.min(image.len());
    heads.chain((320..image.len()).step_by(step)).filter(|at| flip(*at)).count()
}

#[test]
fn any_byte_of_a_closed_journal_may_be_wrong() {
    let found = flips(&closed(), 80, 149);
    assert!(found > 100, "{found} were found");
}

/// Half a commit cannot be told from the last commit with a wrong byte, so that one may be missing.
#[test]
fn any_byte_of_a_killed_journal_may_be_wrong() {
    let found = flips(&killed(), 79, 151);
    assert!(found > 100, "{found} were found");
}

#[test]
#[ignore = "minutes; tests/run.sh runs it"]
fn every_byte_may_be_wrong() {
    flips(&closed(), 80, 1);
    flips(&killed(), 79, 1);
}

#[test]
fn the_file_may_be_cut_anywhere() {
    for (image, least) in [(closed(), 80), (killed(), 79)] {
        let mut cuts: Vec<usize> = (0..400).chain((400..image.len()).step_by(1_021)).collect();
        cuts.extend([image.len() - 1, image.len() - 4_096]);
        for cut in cuts {
            // An empty file is a new database, which says nothing of itself.
            assert!(check(image[..cut].to_vec(), least, &format!("cut at {cut}")));
        }
    }
}

/// Damage that the database does not see: its own checksums are right.
#[test]
fn damage_inside_is_named_by_its_position() {
    type Change = fn(&redb::WriteTransaction);
    let rows: [(Change, &str); 8] = [
        (|w| in_row(w, 21, |row| row[4 + 8 + 2] ^= 1), "entry 21 is damaged: its checksum differs"),
        (|w| in_row(w, 21, |row| row[4] ^= 1), "entry 21 is damaged: its checksum differs"),
        (|w| in_row(w, 21, |row| row[6] ^= 1), "entry 21 is damaged: its row is cut"),
        (|w| in_row(w, 21, |row| row.truncate(3)), "entry 21 is damaged: its row is cut"),
        (|w| in_row(w, 21, |row| row[0] = 2), "entry 22 is damaged: its row is cut"),
        (
            |w| in_row(w, 21, |row| row.push(0)),
            "entry 22 is damaged: its row holds more than it should",
        ),
        (
            |w| drop(w.open_table(store::ENTRIES).unwrap().remove(21).unwrap()),
            "entry 21 is damaged: it is missing",
        ),
        (
            |w| {
                let mut table = w.open_table(store::ENTRIES).unwrap();
                let other = table.get(22).unwrap().unwrap().value().to_vec();
                table.insert(21, other.as_slice()).unwrap();
            },
            "entry 21 is damaged: its checksum differs",
        ),
    ];
    for (change, message) in rows {
        let directory = Directory::new("inside");
        let (journal, _) = directory.open();
        for at in 1..=40 {
            append(&journal, at..=at);
            wait(journal.durable(Position(at))).unwrap();
        }
        drop(journal);
        alter(directory.path(), change);
        let (_journal, recovered) = directory.open();
        let mut handed = 0;
        let error = recovered.replay(|at, _| {
            handed = at.get();
            Ok::<_, JournalError>(())
        });
        assert_eq!(error.unwrap_err().to_string(), format!("the journal's {message}"));
        // Nothing behind it was handed over.
        assert!(handed == 20 || message.contains("22"), "{handed}: {message}");
    }
}

#[test]
fn a_damaged_snapshot_is_named() {
    type Change = fn(&redb::WriteTransaction);
    let rows: [(Change, &str); 5] = [
        (|w| piece(w, 0, |bytes| bytes[9] ^= 1), "after entry 3 is damaged: its checksum differs"),
        (|w| piece(w, 1, |bytes| bytes.truncate(2)), "after entry 3 is damaged: a piece is cut"),
        (
            |w| drop(w.open_table(store::PIECES).unwrap().remove(0).unwrap()),
            "after entry 3 is damaged: a piece is missing",
        ),
        (
            |w| drop(w.open_table(store::PIECES).unwrap().remove(1).unwrap()),
            "after entry 3 is damaged: a piece is missing",
        ),
        (
            |w| {
                let mut about = w.open_table(store::ABOUT).unwrap();
                about.insert(store::SNAPSHOT_KEY, [1; 20].as_slice()).unwrap();
            },
            "no telling where the snapshot ends",
        ),
    ];
    for (change, message) in rows {
        let directory = Directory::new("piece");
        let (journal, _) = directory.open();
        append(&journal, 1..=5);
        wait(journal.durable(Position(5))).unwrap();
        journal.snapshot(Position(3), state(3));
        drop(journal);
        alter(directory.path(), change);
        let error = Journal::open(directory.path(), FORMAT).unwrap_err().to_string();
        assert!(error.ends_with(message), "{error}");
    }
}

fn in_row(write: &redb::WriteTransaction, key: u64, change: fn(&mut Vec<u8>)) {
    in_table(write, store::ENTRIES, key, change);
}

fn piece(write: &redb::WriteTransaction, key: u64, change: fn(&mut Vec<u8>)) {
    in_table(write, store::PIECES, key, change);
}

fn in_table(
    write: &redb::WriteTransaction,
    table: redb::TableDefinition<u64, &[u8]>,
    key: u64,
    change: fn(&mut Vec<u8>),
) {
    let mut table = write.open_table(table).unwrap();
    let mut bytes = table.get(key).unwrap().unwrap().value().to_vec();
    change(&mut bytes);
    table.insert(key, bytes.as_slice()).unwrap();
}

/// The check value of the polynomial's catalogue entry, and every length of the tail.
#[test]
fn the_checksum_is_crc_32() {
    let number = u64::from_le_bytes(*b"12345678");
    assert_eq!(row::checksum(number, b"9"), 0xcbf4_3926);
    let bytes: Vec<u8> = (0..40).map(|byte: u8| byte.wrapping_mul(37)).collect();
    for length in 0..bytes.len() {
        let mut slow = !0_u32;
        for byte in [&7_u64.to_le_bytes()[..], &bytes[..length]].concat() {
            slow ^= u32::from(byte);
            for _ in 0..8 {
                slow = (slow >> 1) ^ if slow & 1 == 1 { 0xedb8_8320 } else { 0 };
            }
        }
        assert_eq!(row::checksum(7, &bytes[..length]), !slow, "{length}");
    }
}
