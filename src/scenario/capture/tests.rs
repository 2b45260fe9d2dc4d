//! Files put together byte by byte in either order, and what is read from them.

use proptest::prelude::*;

use super::*;
use crate::base::time::Instant;
use crate::report::pcapng;

/// An option of a block: code and value.
type Opt<'a> = (u16, &'a [u8]);

/// What becomes of a frame.
type Want<'a> = Result<&'a [u8], Skip>;

/// Builds files in one byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Endian {
    Little,
    Big,
}
use Endian::{Big, Little};

impl Endian {
    fn u16(self, n: u16) -> [u8; 2] {
        if self == Little { n.to_le_bytes() } else { n.to_be_bytes() }
    }

    fn u32(self, n: u32) -> [u8; 4] {
        if self == Little { n.to_le_bytes() } else { n.to_be_bytes() }
    }

    fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|n| self.u32(*n)).collect()
    }

    /// A classic file: magic number, link type, and records of seconds, fraction, data.
    fn classic(self, magic: u32, link: u16, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let mut file = self.u32(magic).to_vec();
        file.extend([self.u16(2), self.u16(4)].concat());
        file.extend(self.words(&[0, 0, 65_535, u32::from(link)]));
        for (seconds, fraction, data) in records {
            let length = u32::try_from(data.len()).unwrap();
            file.extend(self.words(&[*seconds, *fraction, length, length]));
            file.extend(*data);
        }
        file
    }

    fn block(self, kind: u32, body: &[&[u8]]) -> Vec<u8> {
        let mut body = body.concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(u32::try_from(body.len() + 12).unwrap());
        [&self.u32(kind)[..], &length, &body, &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d), &version, &[0xff; 8]])
    }

    fn interface(self, link: u16, snap_length: u32, options: &[Opt<'_>]) -> Vec<u8> {
        let mut body = [&self.u16(link)[..], &[0; 2], &self.u32(snap_length)].concat();
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(u16::try_from(value.len()).unwrap()));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &[&body])
    }

    fn packet(self, interface: u32, units: u64, data: &[u8]) -> Vec<u8> {
        let [high, low] =
            [units >> 32, units & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let length = u32::try_from(data.len()).unwrap();
        self.block(6, &[&self.words(&[interface, high, low, length, length]), data])
    }
}

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
const RAW: u16 = 101;

/// An IPv4 packet of 28 bytes as far as its length is concerned.
const V4: [u8; 28] = ip(&[0x45, 0, 0, 28]);
/// An IPv6 packet of 44 bytes as far as its length is concerned.
const V6: [u8; 44] = ip(&[0x60, 0, 0, 0, 0, 4, 17, 64]);

const fn ip<const N: usize>(head: &[u8]) -> [u8; N] {
    let mut packet = [0xaa; N];
    let mut i = 0;
    while i < head.len() {
        packet[i] = head[i];
        i += 1;
    }
    packet
}

fn read(file: Vec<u8>) -> Result<Capture, Malformed> {
    parse(&Bytes::from(file))
}

/// The packets' times in nanoseconds.
fn times(capture: &Capture) -> Vec<u64> {
    capture.packets.iter().map(|p| p.since_first.as_nanos()).collect()
}

#[test]
fn classic_files_in_either_order_and_unit() {
    for endian in [Little, Big] {
        for (magic, unit) in [(MICROS, 1_000), (NANOS, 1)] {
            let records: [(u32, u32, &[u8]); 3] =
                [(1_420_070_400, 999_999, &V4), (1_420_070_401, 0, &V6), (u32::MAX, 7, &[0xf0])];
            let file = endian.classic(magic, RAW, &records);
            let capture = read(file).unwrap();
            let (a, b) = (999_999 * unit, 7 * unit);
            let far = u64::from(u32::MAX - 1_420_070_400) * 1_000_000_000;
            assert_eq!(times(&capture), [0, 1_000_000_000 - a, far + b - a], "{endian:?} {unit}");
            let bytes: Vec<_> = capture.packets.iter().map(|p| &p.bytes[..]).collect();
            assert_eq!(bytes, records.map(|(.., data)| data));
            assert!(capture.skipped.is_empty());
        }
    }
}

#[test]
fn pcapng_sections_have_their_own_order_and_interfaces() {
    let ethernet = [&[0; 12][..], &[0x08, 0x00], &V4, &[0; 18]].concat();
    let mut file = Vec::new();
    for endian in [Little, Big] {
        file.extend(endian.section());
        file.extend(endian.interface(RAW, 0, &[(2, b"eth0"), (9, &[9]), (0, &[])]));
        file.extend(endian.block(4, &[b"names, which no packet needs"]));
        file.extend(endian.interface(1, 0, &[]));
        file.extend(endian.packet(0, 5_000, &V6));
        file.extend(endian.packet(1, 6, &ethernet));
        // The obsolete block: interface and losses in 16 bits each.
        let header = endian.words(&[0, 7_000, 28, 28]);
        file.extend(endian.block(2, &[&endian.u16(0), &endian.u16(9), &header, &V4]));
    }
    let capture = read(file).unwrap();
    // The second section begins again at the first one's start: late, hence due at once.
    assert_eq!(times(&capture), [0, 1_000, 2_000, 2_000, 2_000, 2_000]);
    assert_eq!(capture.late, 2);
    let bytes: Vec<_> = capture.packets.iter().map(|p| &p.bytes[..]).collect();
    assert_eq!(bytes, [&V6[..], &V4, &V4, &V6, &V4, &V4]);
}

#[test]
fn timestamps_in_every_unit() {
    let offset = 3_i64.to_be_bytes();
    let back = (-4_i64).to_be_bytes();
    let rows: [(&[Opt<'_>], u64, u64); 13] = [
        (&[], 1_500_000, 1_500_000_000),
        (&[(9, &[0])], 4, 4_000_000_000),
        (&[(9, &[3])], 1_500, 1_500_000_000),
        (&[(9, &[9])], 1_500_000_001, 1_500_000_001),
        (&[(9, &[12])], 1_999, 1),
        (&[(9, &[28])], u64::MAX, 1),
        (&[(9, &[29])], u64::MAX, 0),
        (&[(9, &[127])], u64::MAX, 0),
        (&[(9, &[0x80])], 2, 2_000_000_000),
        (&[(9, &[0x80 + 10])], 512, 500_000_000),
        (&[(9, &[0xff])], u64::MAX, 0),
        (&[(14, &offset)], 1, 3_000_001_000),
        (&[(14, &back), (9, &[0])], 5, 1_000_000_000),
    ];
    for (options, units, want) in rows {
        let file = [
            Big.section(),
            Big.interface(RAW, 0, &[(9, &[9])]),
            Big.interface(RAW, 0, options),
            Big.packet(0, 0, &V4),
            Big.packet(1, units, &V4),
        ];
        assert_eq!(times(&read(file.concat()).unwrap()), [0, want], "{options:?}");
    }
}

#[test]
fn frames_give_up_their_packet_or_are_counted() {
    let frame = |parts: &[&[u8]]| parts.concat();
    let macs: &[u8] = &[2; 12];
    let sll = &[0; 14];
    let padded = frame(&[&V4, &[0; 18]]);
    let long = vec![0xf0; limit::PACKET_BYTES_MAX + 1];
    let rows: [(u16, Vec<u8>, Want<'_>); 33] = [
        // Without a frame, everything is the packet: padding, nonsense, nothing.
        (101, V4.to_vec(), Ok(&V4)),
        (101, padded.clone(), Ok(&padded)),
        (101, vec![], Ok(&[])),
        (101, vec![0xf0], Ok(&[0xf0])),
        (12, V4.to_vec(), Ok(&V4)),
        (228, V4.to_vec(), Ok(&V4)),
        (229, V6.to_vec(), Ok(&V6)),
        (101, long.clone(), Err(Skip::TooLong)),
        // Ethernet, with padding, with tags.
        (1, frame(&[macs, &[0x08, 0x00], &V4]), Ok(&V4)),
        (1, frame(&[macs, &[0x08, 0x00], &padded]), Ok(&V4)),
        (1, frame(&[macs, &[0x86, 0xdd], &V6, &[0; 4]]), Ok(&V6)),
        (1, frame(&[macs, &[0x81, 0, 0, 7, 0x86, 0xdd], &V6]), Ok(&V6)),
        (1, frame(&[macs, &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 0x08, 0], &V4]), Ok(&V4)),
        (
            1,
            frame(&[macs, &[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0], &V4]),
            Err(Skip::EtherType(0x8100)),
        ),
        (1, frame(&[macs, &[0x08, 0x06], &V4]), Err(Skip::EtherType(0x0806))),
        (1, frame(&[macs, &[0x00, 0x26], &[0x42; 38]]), Err(Skip::NotIp)),
        (1, frame(&[macs, &[0x08]]), Err(Skip::ShortFrame)),
        (1, frame(&[macs, &[0x81, 0, 0, 7, 8]]), Err(Skip::ShortFrame)),
        // A packet that claims more than there is stays as it is, for the network to judge.
        (1, frame(&[macs, &[0x08, 0x00], &V4[..20]]), Ok(&V4[..20])),
        (
            1,
            frame(&[macs, &[0x08, 0x00], &ip::<30>(&[0x45, 0, 0, 0])]),
            Ok(&const { ip::<30>(&[0x45, 0, 0, 0]) }),
        ),
        (
            1,
            frame(&[macs, &[0x86, 0xdd], &ip::<46>(&[0x60, 0, 0, 0, 0, 0, 59])]),
            Ok(&const { ip::<40>(&[0x60, 0, 0, 0, 0, 0, 59]) }),
        ),
        // A jumbogram states its length elsewhere.
        (
            1,
            frame(&[macs, &[0x86, 0xdd], &ip::<46>(&[0x60, 0, 0, 0, 0, 0, 0])]),
            Ok(&const { ip::<46>(&[0x60, 0, 0, 0, 0, 0, 0]) }),
        ),
        // Address families in either order, for either link type.
        (0, frame(&[&[2, 0, 0, 0], &V4]), Ok(&V4)),
        (0, frame(&[&[0, 0, 0, 30], &V6]), Ok(&V6)),
        (108, frame(&[&[0, 0, 0, 24], &V6]), Ok(&V6)),
        (108, frame(&[&[0, 0, 0, 7], &V6]), Err(Skip::NotIp)),
        (0, vec![2, 0, 0], Err(Skip::ShortFrame)),
        // Linux cooked, both versions.
        (113, frame(&[sll, &[0x08, 0x00], &V4]), Ok(&V4)),
        (113, frame(&[sll, &[0x08, 0x06], &V4]), Err(Skip::EtherType(0x0806))),
        (113, sll.to_vec(), Err(Skip::ShortFrame)),
        (276, frame(&[&[0x86, 0xdd], &[0; 18], &V6]), Ok(&V6)),
        (276, frame(&[&[0x86, 0xdd], &[0; 17]]), Err(Skip::ShortFrame)),
        (127, V4.to_vec(), Err(Skip::LinkType(LinkType(127)))),
    ];
    for (link, data, want) in rows {
        let capture = read(Little.classic(NANOS, link, &[(0, 0, &data)])).unwrap();
        match want {
            Ok(packet) => {
                assert_eq!(capture.packets.len(), 1, "{link}: {data:02x?}");
                assert_eq!(&capture.packets[0].bytes[..], packet, "{link}: {data:02x?}");
                assert!(capture.skipped.is_empty());
            }
            Err(cause) => {
                assert_eq!(capture.skipped, BTreeMap::from([(cause, 1)]), "{link}: {data:02x?}");
                assert!(capture.packets.is_empty());
            }
        }
    }
}

#[test]
fn packets_that_were_cut_by_a_snapshot_length_are_counted() {
    let ethernet = |ip: &[u8]| [&[2; 12][..], &[0x08, 0x00], ip].concat();
    for (link, data, original, want) in [
        (RAW, V4[..27].to_vec(), 28, Err(Skip::CutShort)),
        (RAW, vec![], 1, Err(Skip::CutShort)),
        (1, ethernet(&V4[..20]), 42, Err(Skip::CutShort)),
        // Only padding was cut.
        (1, ethernet(&V4), 60, Ok(())),
        (RAW, V4.to_vec(), 28, Ok(())),
        // Some writers leave the original length at 0.
        (RAW, V4[..27].to_vec(), 0, Ok(())),
    ] {
        let mut file = Big.classic(MICROS, link, &[(0, 0, &data)]);
        file[36..40].copy_from_slice(&Big.u32(original));
        let capture = read(file).unwrap();
        let skipped = want.err().map(|cause| (cause, 1)).into_iter().collect();
        assert_eq!(capture.skipped, skipped, "{link} {original} {data:02x?}");
        assert_eq!(capture.packets.len(), usize::from(want.is_ok()));
    }
}

#[test]
fn late_and_untimed_packets_keep_their_place() {
    let simple = |data: &[u8], original| Little.block(3, &[&Little.u32(original), data]);
    let file = [
        Little.section(),
        Little.interface(RAW, 28, &[(9, &[9])]),
        simple(&V4, 28),
        Little.packet(0, 100, &V4),
        Little.packet(0, 140, &V4),
        Little.packet(0, 90, &V4),
        simple(&V4, 28),
        simple(&V6[..28], 44),
        Little.packet(0, 139, &V4),
        Little.packet(0, 150, &V4),
    ];
    let capture = read(file.concat()).unwrap();
    assert_eq!(times(&capture), [0, 0, 40, 40, 40, 40, 50]);
    assert_eq!((capture.late, capture.untimed), (2, 2));
    assert_eq!(capture.skipped, BTreeMap::from([(Skip::CutShort, 1)]));
}

#[test]
fn errors_point_at_the_byte_and_say_what_was_expected() {
    let classic = Little.classic(NANOS, RAW, &[(0, 0, &V4), (0, 1, &V4)]);
    let section = Little.section();
    let described = [Little.section(), Little.interface(RAW, 0, &[])].concat();
    let with = |tail: Vec<u8>| [described.clone(), tail].concat();
    let changed = |file: &[u8], at: usize, bytes: &[u8]| {
        let mut file = file.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let century_micros = 3_153_600_000_000_000;
    for (file, offset, want) in [
        (vec![], 0, "want 4 bytes of a magic number, 0 are left"),
        (b"vpclab: 1\n".to_vec(), 0, "want the magic number of a pcap or pcapng file"),
        (changed(&classic, 6, &[3]), 4, "version 2.3 of pcap is not read (want 2.4)"),
        (classic[..23].to_vec(), 20, "want 4 bytes of a link type, 3 are left"),
        (classic[..73].to_vec(), 68, "want 16 bytes of a record's header, 5 are left"),
        (classic[..90].to_vec(), 84, "want 28 bytes of a record's data, 6 are left"),
        (
            changed(&classic, 32, &[0xff; 4]),
            40,
            "want 4294967295 bytes of a record's data, 72 are left",
        ),
        (section[..10].to_vec(), 8, "want 4 bytes of a byte-order magic, 2 are left"),
        (changed(&section, 8, &[0; 4]), 8, "want the byte-order magic of a pcapng section"),
        (changed(&section, 12, &[2]), 12, "version 2.0 of pcapng is not read (want 1.x)"),
        (
            changed(&section, 4, &[8]),
            4,
            "a block says it has 8 bytes (want a multiple of 4, at least 12)",
        ),
        (
            changed(&section, 4, &[30]),
            4,
            "a block says it has 30 bytes (want a multiple of 4, at least 12)",
        ),
        (changed(&section, 24, &[32]), 24, "a block ends with length 32, but began with 28"),
        (section[..20].to_vec(), 8, "want 16 bytes of a block's body, 12 are left"),
        (
            changed(&section, 4, &[0xfc, 0xff, 0xff, 0xff]),
            8,
            "want 4294967280 bytes of a block's body, 20 are left",
        ),
        (
            with(Little.packet(1, 0, &V4)),
            48,
            "a packet of interface 1, but the section describes 1 before it",
        ),
        (
            [described.clone(), Little.section(), Little.packet(0, 0, &V4)].concat(),
            76,
            "a packet of interface 0, but the section describes 0 before it",
        ),
        (
            with(Little.block(3, &[&Little.u32(29), &V4])),
            60,
            "want 29 bytes of a packet's data, 28 are left",
        ),
        (
            with(Little.interface(RAW, 0, &[(9, &[9, 9])])),
            64,
            "option `if_tsresol` has 2 bytes (want 1)",
        ),
        (
            with(Little.interface(RAW, 0, &[(14, &[0; 4])])),
            64,
            "option `if_tsoffset` has 4 bytes (want 8)",
        ),
        (
            with(Little.block(1, &[&Little.words(&[101, 0]), &[9, 0, 200, 0]])),
            68,
            "want 200 bytes of an option, 0 are left",
        ),
        (
            with([Little.packet(0, 0, &V4), Little.packet(0, century_micros + 1, &V4)].concat()),
            108,
            "a packet later than 36500d after the first",
        ),
    ] {
        let error = read(file).unwrap_err();
        assert_eq!((error.offset, error.wrong.to_string()), (offset, want.to_owned()));
    }
}

#[test]
fn a_file_that_ends_early_is_an_error_unless_it_ends_between_records() {
    let ng = [Big.section(), Big.interface(RAW, 0, &[(9, &[9])]), Big.packet(0, 0, &V4)];
    let ng_ends = [28, 28 + 28, 28 + 28 + 60];
    for (file, ends) in [
        (Big.classic(MICROS, RAW, &[(0, 0, &V4), (0, 0, &V6)]), &[24, 68, 128][..]),
        (ng.concat(), &ng_ends),
    ] {
        for n in 0..=file.len() {
            assert_eq!(read(file[..n].to_vec()).is_ok(), ends.contains(&n), "first {n} bytes");
        }
    }
}

#[test]
fn a_capture_has_a_limit_of_packets() {
    let records = vec![(0, 0, &[][..]); limit::REPLAY_PACKETS_MAX + 1];
    let file = Little.classic(NANOS, RAW, &records);
    let last = file.len() - 16;
    assert_eq!(read(file[..last].to_vec()).unwrap().packets.len(), limit::REPLAY_PACKETS_MAX);
    let want = format!("byte {last} of the capture: more than 1000000 packets");
    assert_eq!(read(file).unwrap_err().to_string(), want);
}

/// A path for this test and process, removed in the end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("vpclab-capture-{name}-{}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn files_are_checked_before_they_are_read() {
    let good = Scratch::new("good");
    std::fs::write(&good.0, Little.classic(NANOS, RAW, &[(0, 0, &V4)])).unwrap();
    assert_eq!(load(&good.0).unwrap().packets.len(), 1);

    let huge = Scratch::new("huge");
    // A hole: the length is there, the bytes are not. Reading would stop one byte past the limit, so
    // an error that names the second byte past it was raised without reading.
    std::fs::File::create(&huge.0).unwrap().set_len(limit::REPLAY_BYTES_MAX + 2).unwrap();
    assert_eq!(
        load(&huge.0).unwrap_err().to_string(),
        "the capture has 67108866 bytes, more than the limit of 67108864"
    );
    assert!(matches!(load(&std::env::temp_dir()), Err(Error::NotAFile)));
    assert!(matches!(load(&Scratch::new("none").0), Err(Error::Io(_))));
}

/// A valid file of either kind to start from.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let data = prop::collection::vec(any::<u8>(), 0..50);
    let links = prop::sample::select(vec![0, 1, 12, 101, 108, 113, 228, 229, 276, 999]);
    let rows = prop::collection::vec((any::<u32>(), data), 0..6);
    let endian = prop::sample::select(vec![Little, Big]);
    (endian, any::<bool>(), links, rows).prop_map(|(endian, classic, link, rows)| {
        if classic {
            let records: Vec<_> = rows.iter().map(|(at, data)| (*at, 0, &data[..])).collect();
            return endian.classic(MICROS, link, &records);
        }
        let mut file = [endian.section(), endian.interface(link, 0, &[(9, &[9])])].concat();
        for (at, data) in &rows {
            file.extend(endian.packet(0, u64::from(*at), data));
        }
        file
    })
}

/// What holds of every capture that is read from `file`.
fn check_capture(file: &[u8]) {
    let Ok(capture) = read(file.to_vec()) else { return };
    let times = times(&capture);
    assert!(times.is_sorted());
    assert_eq!(times.first().copied().unwrap_or(0), 0);
    let records = capture.packets.len() as u64 + capture.skipped.values().sum::<u64>();
    assert!(records <= file.len() as u64 / 16, "a record has 16 bytes at least");
    assert!(capture.late + capture.untimed <= capture.packets.len() as u64);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        magic in prop::sample::select(vec![
            vec![], Little.u32(MICROS).to_vec(), Big.u32(NANOS).to_vec(), Big.section(),
            [Little.section(), Little.interface(1, 0, &[])].concat(),
        ]),
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        check_capture(&[magic, tail].concat());
    }

    #[test]
    fn mutated_files_never_panic(
        file in any_file(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        check_capture(&file);
        let mut file = file;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        check_capture(&file);
        file.truncate(end.index(file.len() + 1));
        check_capture(&file);
    }

    /// What the writer of this crate writes, this reader reads.
    #[test]
    fn written_captures_are_read_back(
        start in any::<u32>(),
        rows in prop::collection::vec(
            (any::<u32>(), prop::collection::vec(any::<u8>(), 0..60), ".{0,9}"), 1..30),
    ) {
        let start = pcapng::CalendarStart::from_unix_nanos(u64::from(start) << 31).unwrap();
        let mut writer = pcapng::Writer::new(Vec::new(), start);
        let interfaces =
            ["a", "b"].map(|name| writer.add_interface(name, "").unwrap());
        let mut now = 0;
        let mut want = Vec::new();
        for ((gap, bytes, comment), interface) in rows.iter().zip(interfaces.iter().cycle()) {
            now += u64::from(*gap);
            want.push((now, &bytes[..]));
            let recorded = writer.write(&pcapng::Packet {
                interface: *interface,
                at: Instant::from_nanos(now),
                direction: pcapng::Direction::Outbound,
                bytes,
                comment: Some(comment),
            });
            prop_assert_eq!(recorded.unwrap(), pcapng::Recorded::Written);
        }
        let (file, _) = writer.finish().unwrap();
        let capture = read(file).unwrap();
        let first = want[0].0;
        let got: Vec<_> = capture
            .packets
            .iter()
            .map(|p| (first + p.since_first.as_nanos(), &p.bytes[..]))
            .collect();
        prop_assert_eq!(got, want);
        prop_assert!(capture.skipped.is_empty() && capture.late == 0 && capture.untimed == 0);
    }
}
