//! IPv6's extension headers: which there are, how long each is, and the chain they form.
//!
//! Holds the kinds and a walk along the chain that goes as far as there are bytes, for packets that
//! were accepted and for the beginnings of packets that ICMP errors quote. Refuses to hold the
//! checks of a chain, which the parser makes on its own walk.

use super::Protocol;
use crate::base::limit::IPV6_EXTENSIONS_MAX;

/// The size of IPv6's fixed header.
pub(super) const FIXED: usize = 40;

/// An IPv6 extension header, by how its length is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    HopByHop,
    Routing,
    Fragment,
    /// RFC 4302. An extension header in IPv6 only; in IPv4 it is a protocol like any other.
    Authentication,
    /// Destination options, mobility, host identity, shim6: nothing here asks for more than their
    /// length, which all write in the same way (RFC 6564).
    Other,
}

impl Extension {
    pub(super) const fn of(next: Protocol) -> Option<Extension> {
        match next.0 {
            0 => Some(Extension::HopByHop),
            43 => Some(Extension::Routing),
            44 => Some(Extension::Fragment),
            51 => Some(Extension::Authentication),
            60 | 135 | 139 | 140 => Some(Extension::Other),
            _ => None,
        }
    }

    /// The header's length in bytes, given its second byte.
    pub(super) fn length(self, written: u8) -> usize {
        match self {
            Extension::Fragment => 8,
            Extension::Authentication => (usize::from(written) + 2) * 4,
            _ => (usize::from(written) + 1) * 8,
        }
    }
}

/// One header of a chain. Offsets count from the first byte of the IPv6 header.
pub(super) struct Link {
    pub(super) kind: Extension,
    /// Where the byte stands that names this header.
    pub(super) named_at: usize,
    pub(super) at: usize,
    pub(super) length: usize,
}

/// A walk along the extension headers of the IPv6 packet at the start of `bytes`.
///
/// It ends before the first header that is no extension header or is not there in full, behind the
/// fragment header of a later fragment, and after [`IPV6_EXTENSIONS_MAX`] headers. Where it has
/// ended, `at` and `protocol` say what would come next.
pub(super) struct Chain<'a> {
    bytes: &'a [u8],
    named_at: usize,
    count: usize,
    pub(super) at: usize,
    pub(super) protocol: Protocol,
    /// A fragment header was met that says: there is more before this.
    pub(super) later: bool,
    /// A routing header was met with segments left, so that the address in the IPv6 header is not
    /// the final destination, which the transport checksum covers (RFC 8200, 8.1).
    pub(super) segments_left: bool,
}

impl<'a> Chain<'a> {
    /// `bytes` begin with the fixed header; if it is cut short, there is nothing to walk along.
    pub(super) fn new(bytes: &'a [u8]) -> Chain<'a> {
        let protocol = bytes.get(6).map_or(Protocol::NO_NEXT_HEADER, |next| Protocol(*next));
        let (named_at, at, count) = (6, FIXED, 0);
        Chain { bytes, named_at, count, at, protocol, later: false, segments_left: false }
    }

    /// The walk, finished.
    pub(super) fn end(mut self) -> Chain<'a> {
        self.by_ref().for_each(drop);
        self
    }
}

impl Iterator for Chain<'_> {
    type Item = Link;

    fn next(&mut self) -> Option<Link> {
        let kind = Extension::of(self.protocol)?;
        if self.later || self.count == IPV6_EXTENSIONS_MAX {
            return None;
        }
        let rest = self.bytes.get(self.at..)?;
        let head: &[u8; 8] = rest.first_chunk()?;
        let length = kind.length(head[1]);
        if length > rest.len() {
            return None;
        }
        let link = Link { kind, named_at: self.named_at, at: self.at, length };
        match kind {
            Extension::Fragment => {
                self.later = u16::from_be_bytes([head[2], head[3]]) & 0xfff8 != 0;
            }
            Extension::Routing => self.segments_left |= head[3] != 0,
            _ => {}
        }
        self.named_at = self.at;
        self.at += length;
        self.count += 1;
        self.protocol = Protocol(head[0]);
        Some(link)
    }
}
