//! The resolver: a query as bytes in, an answer as bytes out.
//!
//! Holds the reading and writing of messages (RFC 1035, 6891, 7766) and the loops over UDP and TCP.
//! What a name resolves to is [`Cloud::resolve`]'s to say. Refuses to forward: there is no world beyond
//! the emulated one, and its names are nobody's.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use simple_dns::rdata::{A, OPT, PTR, RData};
use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord,
    SimpleDnsError, TYPE,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::ground::Ground;
use super::{PAUSE, seen};
use crate::base::id::{InterfaceId, VpcId};
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::dns::{Answer, Denial, Rcode};
use crate::cloud::hostname::{Hostname, Kind};

/// Seconds for which an answer may be kept (ours: short, since a lab changes).
const TTL_SECONDS: u32 = 5;
/// Bytes of a query. One question and an OPT record fit thrice.
const QUERY_BYTES_MAX: usize = 1024;
/// Records that a query may bring besides its question: an OPT record, a signature.
const FURTHER_RECORDS_MAX: u16 = 4;
/// What the resolver says it takes over UDP (RFC 6891, 6.2.5).
const UDP_BYTES: u16 = 1232;
/// TCP connections of one host at a time.
const STREAMS_MAX: usize = 32;
/// For each query over TCP to come in, and for its answer to be taken.
const STREAM_SPAN: Duration = Duration::from_secs(5);

/// Answers over UDP.
pub(super) async fn datagrams(socket: UdpSocket, host: InterfaceId, ground: Arc<dyn Ground>) {
    let mut room = vec![0; QUERY_BYTES_MAX + 1];
    loop {
        // An error is of an answer that nobody took, and none of the next query's.
        let Ok((len, from)) = socket.recv_from(&mut room).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Some(answer) = respond(&room[..len], host, ground.as_ref()) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// Answers over TCP.
pub(super) async fn streams(listener: TcpListener, host: InterfaceId, ground: Arc<dyn Ground>) {
    let places = Arc::new(Semaphore::new(STREAMS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while tasks.try_join_next().is_some() {}
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let ground = Arc::clone(&ground);
        tasks.spawn(async move {
            loop {
                let turn = turn(&mut stream, host, ground.as_ref());
                if !matches!(timeout(STREAM_SPAN, turn).await, Ok(Ok(()))) {
                    break;
                }
            }
            drop(place);
        });
    }
}

/// One query over TCP and its answer, each behind its length (RFC 1035, 4.2.2). An error ends the
/// connection.
async fn turn(stream: &mut TcpStream, host: InterfaceId, ground: &dyn Ground) -> io::Result<()> {
    let len = usize::from(stream.read_u16().await?);
    if len > QUERY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut query = vec![0; len];
    stream.read_exact(&mut query).await?;
    let answer = respond(&query, host, ground).ok_or(io::ErrorKind::InvalidData)?;
    let len = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    // In one piece: some clients read no further than the first.
    stream.write_all(&[&len.to_be_bytes(), answer.as_slice()].concat()).await
}

/// The answer to a query, or none: there is no resolver, or it is no query that could be answered.
pub(super) fn respond(query: &[u8], host: InterfaceId, ground: &dyn Ground) -> Option<Vec<u8>> {
    let head = Head::read(query)?;
    let from = seen(ground, |cloud, _| {
        let from = cloud.interface(host)?.vpc;
        cloud.vpc(from).is_some_and(|vpc| vpc.dns().support.is_on()).then_some(from)
    })
    .flatten()?;
    if !head.is_bearable(query.len()) {
        return head.refuse(RCODE::FormatError);
    }
    match Packet::parse(query) {
        Ok(packet) => answer(&head, &packet, from, ground),
        Err(SimpleDnsError::InvalidQType(_)) => of_unknown_type(query, host, ground),
        Err(SimpleDnsError::InvalidQClass(_) | SimpleDnsError::InvalidClass(_)) => {
            head.refuse(RCODE::Refused)
        }
        Err(_) => head.refuse(RCODE::FormatError),
    }
}

/// A type that the reader of messages does not know is one that no name has: the answer is the one for
/// text records, which no name has either.
fn of_unknown_type(query: &[u8], host: InterfaceId, ground: &dyn Ground) -> Option<Vec<u8>> {
    let at = question_type(query)?;
    let mut known = query.to_vec();
    known.get_mut(at..at + 2)?.copy_from_slice(&u16::from(TYPE::TXT).to_be_bytes());
    let mut answer = respond(&known, host, ground)?;
    // The answer repeats the question, at the same place.
    answer.get_mut(at..at + 2)?.copy_from_slice(query.get(at..at + 2)?);
    Some(answer)
}

/// Where the type of the first question stands: behind a name without compression.
fn question_type(query: &[u8]) -> Option<usize> {
    let mut at = HEAD_BYTES;
    loop {
        match usize::from(*query.get(at)?) {
            0 => return Some(at + 1),
            label if label < 64 => at += 1 + label,
            _ => return None,
        }
    }
}

/// Bytes of a message's header.
const HEAD_BYTES: usize = 12;

/// What a message says before its first question.
struct Head {
    id: u16,
    flags: u16,
    counts: [u16; 4],
}

impl Head {
    /// `None` for what is no query: too short, or an answer.
    fn read(query: &[u8]) -> Option<Head> {
        let words = query.get(..HEAD_BYTES)?;
        let word = |at: usize| u16::from_be_bytes([words[2 * at], words[2 * at + 1]]);
        let head =
            Head { id: word(0), flags: word(1), counts: [word(2), word(3), word(4), word(5)] };
        (head.flags & PacketFlag::RESPONSE.bits() == 0).then_some(head)
    }

    /// May it be read at all? The reader makes room for as many records as the header promises.
    fn is_bearable(&self, bytes: usize) -> bool {
        let [questions, answers, servers, further] = self.counts;
        let few = questions == 1 && answers == 0 && servers == 0;
        few && further <= FURTHER_RECORDS_MAX && bytes <= QUERY_BYTES_MAX
    }

    /// The beginning of an answer.
    fn reply<'a>(&self) -> Packet<'a> {
        let mut reply = Packet::new_reply(self.id);
        let kept = PacketFlag::from_bits_truncate(self.flags)
            & (PacketFlag::RECURSION_DESIRED | PacketFlag::CHECKING_DISABLED);
        reply.set_flags(kept | PacketFlag::RECURSION_AVAILABLE);
        reply
    }

    /// An answer of nothing but a code.
    fn refuse(&self, code: RCODE) -> Option<Vec<u8>> {
        let mut reply = self.reply();
        *reply.rcode_mut() = code;
        reply.build_bytes_vec().ok()
    }
}

/// What a name has.
enum Found {
    /// An address.
    Address(Ipv4Addr),
    /// A name.
    Hostname(Hostname),
    /// Nothing of the kind asked for (RFC 2308, 2.2).
    NoData,
    /// There is no such name (RFC 2308, 2.1).
    NoName,
}

fn answer(head: &Head, query: &Packet<'_>, from: VpcId, ground: &dyn Ground) -> Option<Vec<u8>> {
    if query.opcode() != OPCODE::StandardQuery {
        return head.refuse(RCODE::NotImplemented);
    }
    let question = query.questions.first()?;
    if !matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY) {
        return head.refuse(RCODE::Refused);
    }
    let mut reply = head.reply();
    if query.opt().is_some() {
        // Of versions there is one (RFC 6891). The reader of messages takes the flag of DNSSEC for a
        // part of the version, so that it cannot be asked which one is wanted.
        let further = OPT { opt_codes: Vec::new(), udp_packet_size: UDP_BYTES, version: 0 };
        *reply.opt_mut() = Some(further);
    }
    let text;
    let found = seen(ground, |cloud, now| find(cloud, from, question, now))??;
    let data = match found {
        Found::Address(address) => Some(RData::A(A::from(address))),
        Found::Hostname(name) => {
            text = name.to_string();
            Some(RData::PTR(PTR(Name::new(&text).ok()?)))
        }
        Found::NoData => None,
        Found::NoName => {
            *reply.rcode_mut() = RCODE::NameError;
            None
        }
    };
    let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, TTL_SECONDS, data);
    reply.answers.extend(data.map(record));
    reply.questions.push(question.clone());
    reply.build_bytes_vec_compressed().ok()
}

/// What the name in a question has; `None` if there is nobody to say so.
fn find(cloud: &Cloud, from: VpcId, question: &Question<'_>, now: Instant) -> Option<Found> {
    let name = question.qname.to_string();
    let wants = |kind: TYPE| matches!(question.qtype, QTYPE::ANY) || question.qtype == kind.into();
    if let Some(address) = address_asked(&name) {
        let name = name_of(cloud, from, address, now);
        return Some(match name {
            Some(name) if wants(TYPE::PTR) => Found::Hostname(name),
            Some(_) => Found::NoData,
            None => Found::NoName,
        });
    }
    let Ok(name) = name.parse::<Hostname>() else { return Some(Found::NoName) };
    match cloud.resolve(from, &name, now) {
        // No hostname made from an IPv4 address has an IPv6 address.
        Ok(Answer { address, .. }) if wants(TYPE::A) => Some(Found::Address(address)),
        Ok(_) => Some(Found::NoData),
        Err(Denial { reason, .. }) => match reason.rcode() {
            Rcode::Silence => None,
            Rcode::NxDomain => Some(Found::NoName),
        },
    }
}

/// The address in a name such as `4.1.10.10.in-addr.arpa` (RFC 1035, 3.5).
fn address_asked(name: &str) -> Option<Ipv4Addr> {
    let name = name.to_ascii_lowercase();
    let digits = name.trim_end_matches('.').strip_suffix(".in-addr.arpa")?;
    let parts: Vec<&str> = digits.rsplit('.').collect();
    parts.join(".").parse().ok()
}

/// The name of an address, if that name resolves to it in turn: a private one of the asker's region,
/// or a public one.
fn name_of(cloud: &Cloud, from: VpcId, address: Ipv4Addr, now: Instant) -> Option<Hostname> {
    let own = cloud.vpc(from)?.region.clone();
    let private = Hostname::new(Kind::Private, address, own);
    if cloud.resolve(from, &private, now).is_ok() {
        return Some(private);
    }
    let (interface, _) = cloud.behind_public(address)?;
    let region = cloud.vpc(cloud.interface(interface)?.vpc)?.region.clone();
    let public = Hostname::new(Kind::Public, address, region);
    cloud.resolve(from, &public, now).is_ok().then_some(public)
}

#[cfg(test)]
pub(super) mod tests;
