//! Whatever call to the disk fails, and wherever the power is cut: what was reported as durable is
//! there, and what is there is a beginning of what was appended.

use super::*;
use crate::base::rng::Seed;
use disk::Fault;

/// How far a run has come.
#[derive(Default, Debug)]
struct Reached {
    durable: u64,
    appended: u64,
    snapshot: u64,
    error: Option<JournalError>,
}

/// Groups of entries with a snapshot among them, on what the disk holds already.
fn run(disk: &Disk, reached: &mut Reached) {
    let opened = open_on(disk);
    let (journal, recovered) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            reached.error = Some(error);
            return;
        }
    };
    let done = work(&journal, recovered, reached);
    let done = done.and_then(|()| journal.close());
    if let Err(error) = done {
        // From then on everything is refused, even if the disk works again.
        append(&journal, reached.appended + 1..=reached.appended + 1);
        reached.error = Some(error);
        assert!(wait(journal.durable(journal.position())).is_err());
        assert!(journal.failure().is_some());
    }
}

fn work(
    journal: &Journal,
    recovered: Recovered,
    reached: &mut Reached,
) -> Result<(), JournalError> {
    let (_, from) = read(recovered)?;
    (reached.appended, reached.durable) = (from, from);
    for (group, entries) in [1, 3, 20, 1, 30].into_iter().enumerate() {
        let to = reached.appended + entries;
        append(journal, reached.appended + 1..=to);
        reached.appended = to;
        wait(journal.durable(Position(to)))?;
        reached.durable = to;
        if group == 2 {
            reached.snapshot = to - 5;
            journal.snapshot(Position(to - 5), state(to - 5));
        }
    }
    Ok(())
}

/// What must be there after a run on it.
fn check(image: Vec<u8>, reached: &Reached, why: &str) {
    let (journal, recovered) = match open_on(&Disk::with(image)) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}: {why}, {reached:?}"),
    };
    let (snapshot, last) = read(recovered).unwrap();
    assert!(last >= reached.durable, "{last} is there: {why}, {reached:?}");
    assert!(last <= reached.appended, "{last} is there: {why}, {reached:?}");
    assert!(snapshot == 0 || snapshot == reached.snapshot, "{why}");
    // It goes on from there.
    let at = journal.append(text(last + 1));
    wait(journal.durable(at)).unwrap();
    assert_eq!(at.get(), last + 1);
}

#[test]
fn any_call_to_the_disk_may_fail() {
    let base = fresh_disk().bytes();
    for for_good in [false, true] {
        let mut failed = 0;
        for call in 1.. {
            let disk = Disk::with(base.clone());
            disk.fail(Fault { call, for_good });
            let mut reached = Reached::default();
            run(&disk, &mut reached);
            if !disk.has_failed() {
                assert_eq!(reached.error, None);
                assert_eq!(reached.durable, 55);
                break;
            }
            failed += u64::from(reached.error.is_some());
            // The process has died, or the power was cut.
            check(disk.bytes(), &reached, &format!("call {call}, {for_good}"));
            let mut rng = Seed(call).stream("power");
            for cut in 0..3 {
                let image = disk.after_power_cut(&mut rng);
                check(image, &reached, &format!("call {call}, {for_good}, cut {cut}"));
            }
        }
        assert!(failed > 50, "{failed} runs saw an error");
    }
}

/// The power is cut while the disk works.
#[test]
fn the_power_may_go_at_any_call() {
    let disk = fresh_disk();
    let mut rng = Seed(5).stream("power");
    let (journal, _) = open_on(&disk).unwrap();
    let mut reached = Reached::default();
    for at in 1..=60 {
        // Before, in the middle of, and after a write.
        disk.hold();
        append(&journal, at..=at);
        reached.appended = at;
        disk.until_held();
        check(disk.after_power_cut(&mut rng), &reached, "held");
        disk.release();
        wait(journal.durable(Position(at))).unwrap();
        reached.durable = at;
        check(disk.after_power_cut(&mut rng), &reached, "durable");
    }
}

#[test]
fn every_waiter_gets_the_error() {
    let disk = fresh_disk();
    let (journal, _) = open_on(&disk).unwrap();
    append(&journal, 1..=1);
    wait(journal.durable(Position(1))).unwrap();
    disk.hold();
    append(&journal, 2..=2);
    disk.until_held();
    let journal = Arc::new(journal);
    let waiters: Vec<_> = (3..=10)
        .map(|at| {
            append(&journal, at..=at);
            let journal = Arc::clone(&journal);
            thread::spawn(move || wait(journal.durable(Position(at))))
        })
        .collect();
    disk.fail(Fault { call: 1, for_good: false });
    disk.release();
    for waiter in waiters {
        let error = waiter.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the journal cannot be written: I/O error: no space left",);
        assert_eq!(journal.failure(), Some(error));
    }
    // What was reported before stays true, and nothing new is taken.
    assert_eq!(wait(journal.durable(Position(1))), Ok(()));
    append(&journal, 11..=11);
    assert!(wait(journal.durable(Position(11))).is_err());
    assert!(journal.close().is_err());
}

/// A panic of the writer is no silence.
#[test]
fn the_death_of_the_writer_is_told() {
    let disk = fresh_disk();
    let (journal, _) = open_on(&disk).unwrap();
    append(&journal, 1..=1);
    wait(journal.durable(Position(1))).unwrap();
    disk.fail(Fault { call: Fault::PANIC, for_good: false });
    append(&journal, 2..=2);
    assert_eq!(wait(journal.durable(Position(2))), Err(JournalError::Died));
    assert_eq!(wait(journal.durable(Position(1))), Ok(()));
    assert_eq!(journal.close(), Err(JournalError::Died));
}
