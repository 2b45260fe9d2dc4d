//! The written bytes, taken apart by a walker that shares nothing with the writer.

use proptest::prelude::*;

use super::*;

/// 2015-01-01T00:00:00Z.
const NEW_YEAR_2015: u64 = 1_420_070_400_000_000_000;

fn start() -> CalendarStart {
    CalendarStart::from_unix_nanos(NEW_YEAR_2015).unwrap()
}

/// One block as a reader sees it: type, fixed part with data, options in order.
struct Block<'a> {
    kind: u32,
    body: &'a [u8],
}

/// Splits a file into blocks and insists on the framing: whole words, both lengths equal, no rest.
fn blocks(mut file: &[u8]) -> Vec<Block<'_>> {
    let mut all = Vec::new();
    while !file.is_empty() {
        let total = u32_at(file, 4) as usize;
        assert!(total >= 12 && total.is_multiple_of(4), "total length {total}");
        assert_eq!(u32_at(file, total - 4) as usize, total, "the length stands at both ends");
        all.push(Block { kind: u32_at(file, 0), body: &file[8..total - 4] });
        file = &file[total..];
    }
    all
}

/// The options in `bytes`, which must end exactly with the end-of-options mark and pad with zeros.
fn options(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    loop {
        let (code, len) = (u16_at(bytes, 0), usize::from(u16_at(bytes, 2)));
        let padded = 4 + len.next_multiple_of(4);
        assert!(bytes[4 + len..padded].iter().all(|b| *b == 0), "padding is zero");
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "the end of options ends the block");
            return all;
        }
        all.push((code, &bytes[4..4 + len]));
        bytes = &bytes[padded..];
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What an enhanced packet block says: interface, time, original length, data, options.
type Seen<'a> = (u32, u64, u32, &'a [u8], Vec<(u16, &'a [u8])>);

fn packet_of<'a>(block: &Block<'a>) -> Seen<'a> {
    assert_eq!(block.kind, 6);
    let b = block.body;
    let time = u64::from(u32_at(b, 4)) << 32 | u64::from(u32_at(b, 8));
    let captured = u32_at(b, 12) as usize;
    let options = options(&b[20 + captured.next_multiple_of(4)..]);
    (u32_at(b, 0), time, u32_at(b, 16), &b[20..20 + captured], options)
}

fn packet(bytes: &[u8]) -> Packet<'_> {
    Packet {
        interface: InterfaceNumber(0),
        at: Instant::START,
        direction: Direction::Outbound,
        bytes,
        comment: None,
    }
}

/// The file that `fill` writes.
fn file(fill: impl FnOnce(&mut Writer<Vec<u8>>)) -> (Vec<u8>, Tally) {
    let mut writer = Writer::new(Vec::new(), start());
    fill(&mut writer);
    writer.finish().unwrap()
}

fn write(writer: &mut Writer<Vec<u8>>, packet: &Packet<'_>) -> Recorded {
    writer.write(packet).unwrap()
}

#[test]
fn a_file_says_who_wrote_it_and_what_its_interfaces_are() {
    let (bytes, tally) = file(|w| {
        w.add_interface("a", "10.0.0.4 in A").unwrap();
        w.add_interface("naïve", "").unwrap();
    });
    let all = blocks(&bytes);
    assert_eq!(all.iter().map(|b| b.kind).collect::<Vec<_>>(), [0x0a0d_0d0a, 1, 1]);
    let section = all[0].body;
    assert_eq!(u32_at(section, 0), 0x1a2b_3c4d);
    assert_eq!((u16_at(section, 4), u16_at(section, 6)), (1, 0), "version");
    assert_eq!(section[8..16], [0xff; 8], "length not stated");
    let application = format!("vpclab {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(options(&section[16..]), [(4, application.as_bytes())]);
    for (block, want) in [
        (&all[1], vec![(2, "a".as_bytes()), (3, b"10.0.0.4 in A"), (9, &[9])]),
        (&all[2], vec![(2, "naïve".as_bytes()), (9, &[9])]),
    ] {
        assert_eq!((u16_at(block.body, 0), u32_at(block.body, 4)), (101, 0), "RAW, no snaplen");
        assert_eq!(options(&block.body[8..]), want);
    }
    assert_eq!(tally, Tally { packets: 0, left_out: 0, bytes: bytes.len() as u64 });
}

/// Everything after the section header (which holds the version), as it stands in the draft.
#[test]
fn the_bytes_of_a_tiny_file() {
    let (bytes, _) = file(|w| {
        let a = w.add_interface("a", "").unwrap();
        let packet = Packet {
            interface: a,
            at: Instant::from_nanos(1),
            direction: Direction::Inbound,
            bytes: &[0x45, 0, 0, 1, 0xff],
            comment: Some("no-route"),
        };
        assert_eq!(write(w, &packet), Recorded::Written);
    });
    let hex: String = bytes[u32_at(&bytes, 4) as usize..]
        .chunks(4)
        .map(|word| word.iter().map(|b| format!("{b:02x}")).collect::<String>() + " ")
        .collect();
    let interface = "01000000 28000000 65000000 00000000 \
                     02000100 61000000 09000100 09000000 00000000 28000000 ";
    let packet = "06000000 40000000 00000000 811ab513 01000c44 05000000 05000000 \
                  45000001 ff000000 01000800 6e6f2d72 6f757465 \
                  02000400 01000000 00000000 40000000 ";
    assert_eq!(hex, format!("{interface}{packet}"));
}

#[test]
fn packets_keep_interface_time_direction_bytes_and_comment() {
    let whole = vec![0x45; limit::PACKET_BYTES_MAX];
    let longer = vec![0x45; limit::PACKET_BYTES_MAX + 1];
    let rows: [(&[u8], u64, Direction, Option<&str>); 6] = [
        (&[], 0, Direction::Inbound, None),
        (&[0xf0], 1, Direction::Outbound, Some("malformed")),
        (&[0x45; 20], 1_000_000_000, Direction::Inbound, Some("")),
        (&[0x60; 43], limit::RUN_SPAN_MAX.as_nanos(), Direction::Outbound, Some("größer\n第二行")),
        (&whole, 5, Direction::Inbound, None),
        (&longer, 5, Direction::Inbound, None),
    ];
    let (bytes, tally) = file(|w| {
        for name in ["a", "b"] {
            w.add_interface(name, "").unwrap();
        }
        for (i, (bytes, nanos, direction, comment)) in (0..).zip(rows) {
            let (interface, at) = (InterfaceNumber(i % 2), Instant::from_nanos(nanos));
            let packet = Packet { interface, at, direction, bytes, comment };
            assert_eq!(write(w, &packet), Recorded::Written);
        }
    });
    assert_eq!(tally.packets, rows.len() as u64);
    let all = blocks(&bytes);
    assert_eq!(all.len(), 3 + rows.len());
    for ((i, block), (want, nanos, direction, comment)) in (0..).zip(&all[3..]).zip(rows) {
        let (interface, time, original, data, options) = packet_of(block);
        assert_eq!((interface, time), (i % 2, NEW_YEAR_2015 + nanos));
        assert_eq!(original as usize, want.len());
        assert_eq!(data, &want[..want.len().min(65_535)]);
        let flags: &[u8] =
            if direction == Direction::Inbound { &[1, 0, 0, 0] } else { &[2, 0, 0, 0] };
        let comment = comment.filter(|c| !c.is_empty()).map(|c| (1, c.as_bytes()));
        assert_eq!(options, comment.into_iter().chain([(2, flags)]).collect::<Vec<_>>());
    }
}

#[test]
fn texts_are_cut_between_characters_and_hold_no_nul() {
    let max = limit::CAPTURE_COMMENT_BYTES_MAX;
    for (text, want) in [
        ("x".repeat(max), "x".repeat(max)),
        ("a\0b".to_owned(), "a\u{fffd}b".to_owned()),
        ("x".repeat(max + 1), "x".repeat(max - 3) + "…"),
        // 3-byte characters that do not divide the room: the cut moves back to a boundary.
        ("x".to_owned() + &"第".repeat(max), "x".to_owned() + &"第".repeat((max - 4) / 3) + "…"),
    ] {
        let (bytes, _) = file(|w| {
            w.add_interface("a", "").unwrap();
            let packet = Packet { comment: Some(&text), ..packet(&[0x45]) };
            assert_eq!(write(w, &packet), Recorded::Written);
        });
        let all = blocks(&bytes);
        let (.., options) = packet_of(&all[2]);
        assert_eq!(std::str::from_utf8(options[0].1).unwrap(), want);
    }
}

#[test]
fn a_full_file_is_a_gapless_beginning_and_the_rest_is_counted() {
    let (one, _) = file(|w| {
        w.add_interface("a", "").unwrap();
        assert_eq!(write(w, &packet(&[0x45; 40])), Recorded::Written);
    });
    let room = one.len() as u64;
    let mut writer = Writer::with_limit(Vec::new(), start(), room).unwrap();
    writer.add_interface("a", "").unwrap();
    assert_eq!(write(&mut writer, &packet(&[0x45; 40])), Recorded::Written);
    assert_eq!(write(&mut writer, &packet(&[0x45; 40])), Recorded::LeftOut);
    assert!(matches!(writer.add_interface("b", ""), Err(Error::NoRoom { limit }) if limit == room));
    let (bytes, tally) = writer.finish().unwrap();
    assert_eq!(bytes, one);
    assert_eq!(tally, Tally { packets: 1, left_out: 1, bytes: room });

    let mut writer = Writer::with_limit(Vec::new(), start(), room - 1).unwrap();
    writer.add_interface("a", "").unwrap();
    assert_eq!(write(&mut writer, &packet(&[0x45; 40])), Recorded::LeftOut);
    assert_eq!(write(&mut writer, &packet(&[])), Recorded::LeftOut, "smaller, but later");
    let (bytes, tally) = writer.finish().unwrap();
    assert_eq!(blocks(&bytes).len(), 2);
    assert_eq!(tally, Tally { packets: 0, left_out: 2, bytes: bytes.len() as u64 });

    assert!(matches!(
        Writer::with_limit(Vec::new(), start(), 47),
        Err(Error::NoRoom { limit: 47 })
    ));
}

#[test]
fn interfaces_must_be_described_first() {
    let mut writer = Writer::new(Vec::new(), start());
    let early = writer.write(&packet(&[0x45])).unwrap_err();
    assert_eq!(early.to_string(), "interface 0 is not described in this capture");
    assert_eq!(writer.tally().packets, 0);
}

/// Takes `room` bytes, in calls of at most `step`, some of them interrupted; then refuses.
struct Narrow {
    taken: Vec<u8>,
    room: usize,
    step: usize,
    interrupt: bool,
}

impl io::Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = bytes.len().min(self.step).min(self.room - self.taken.len());
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.taken.extend_from_slice(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_is_reported_once_and_leaves_whole_blocks() {
    let fill = |writer: &mut Writer<&mut Narrow>| -> Result<(), Error> {
        writer.add_interface("a", "")?;
        for _ in 0..2_000 {
            let _ = writer.write(&packet(&[0x45; 60]))?;
        }
        Ok(())
    };
    for room in [0, 47, 48, 100, 70_001, 150_000] {
        let mut sink = Narrow { taken: Vec::new(), room, step: 7_000, interrupt: false };
        let mut writer = Writer::new(&mut sink, start());
        let Err(Error::Sink { whole_bytes, source }) = fill(&mut writer) else {
            panic!("a sink of {room} bytes took everything");
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert!(matches!(writer.write(&packet(&[0x45])), Err(Error::Stopped)));
        assert!(matches!(writer.add_interface("b", ""), Err(Error::Stopped)));
        assert!(matches!(writer.finish(), Err(Error::Stopped)));
        let whole = usize::try_from(whole_bytes).unwrap();
        // Cut where the error says, the file is well formed, and nothing more would have fitted.
        let all = blocks(&sink.taken[..whole]);
        assert!(room - whole < 120, "{room}: {whole} bytes, {} blocks", all.len());
    }
    let mut sink = Narrow { taken: Vec::new(), room: 1 << 20, step: 1, interrupt: false };
    let mut writer = Writer::new(&mut sink, start());
    fill(&mut writer).unwrap();
    let tally = writer.finish().unwrap().1;
    assert_eq!(blocks(&sink.taken).len(), 2_002);
    assert_eq!(tally.bytes, sink.taken.len() as u64);
}

#[test]
fn starts_leave_room_for_the_longest_run() {
    let latest = CalendarStart::LATEST;
    let end = Instant::START + limit::RUN_SPAN_MAX;
    assert_eq!(latest.unix_nanos_at(end), u64::MAX);
    assert_eq!(CalendarStart::from_unix_nanos(latest.unix_nanos_at(Instant::START)), Some(latest));
    assert_eq!(CalendarStart::from_unix_nanos(latest.unix_nanos_at(Instant::from_nanos(1))), None);
}

proptest! {
    /// Whatever is written, the framing holds, nothing is lost, and the bytes are the same again.
    #[test]
    fn any_packets_make_a_well_formed_file(
        rows in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..80), any::<u64>(), ".{0,12}"), 0..40),
    ) {
        let fill = || file(|w| {
            w.add_interface("a", "").unwrap();
            for (bytes, nanos, comment) in &rows {
                let packet = Packet {
                    at: Instant::from_nanos(*nanos),
                    comment: Some(comment),
                    ..packet(bytes)
                };
                assert_eq!(write(w, &packet), Recorded::Written);
            }
        });
        let (bytes, tally) = fill();
        prop_assert_eq!(tally.packets, rows.len() as u64);
        for (block, (want, nanos, _)) in blocks(&bytes)[2..].iter().zip(&rows) {
            let (_, time, _, data, _) = packet_of(block);
            prop_assert_eq!(data, &want[..]);
            prop_assert_eq!(time, NEW_YEAR_2015.saturating_add(*nanos));
        }
        prop_assert_eq!(fill().0, bytes);
    }
}
