//! Key pairs: names that launches may give. There is nothing to log in to, so a private key is never
//! more than text.

use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::{Fact, Kind};
use crate::api::xml::Xml;
use crate::base::rng::mix;

use super::done;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateKeyPair",
        takes: &["KeyName", "KeyType", "KeyFormat"],
        filters: &[],
        lacks: "The key material is no key: there is nothing to log in to.",
        run: Run::Write(create),
    },
    Operation {
        name: "ImportKeyPair",
        takes: &["KeyName", "PublicKeyMaterial"],
        filters: &[],
        lacks: "The fingerprint is not that of other tools.",
        run: Run::Write(import),
    },
    Operation {
        name: "DescribeKeyPairs",
        takes: &["KeyName", "KeyPairId", "IncludePublicKey"],
        filters: &["fingerprint", "key-name", "key-pair-id", "tag:<key>", "tag-key"],
        lacks: "",
        run: Run::Read(describe_pairs),
    },
    Operation {
        name: "DeleteKeyPair",
        takes: &["KeyName", "KeyPairId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

/// Characters of a name (AWS).
const NAME_CHARS_MAX: usize = 255;
/// Characters of public key material that is remembered (ours): the longest RSA keys have 3,000.
const MATERIAL_CHARS_MAX: usize = 16 << 10;

struct PairRow<'a> {
    id: &'a str,
}

impl PairRow<'_> {
    fn name<'f>(&self, ask: &Ask<'f>) -> &'f str {
        ask.records().fact(self.id, Fact::Name).unwrap_or_default()
    }

    fn kind(&self, ask: &Ask<'_>) -> &'static str {
        match ask.records().fact(self.id, Fact::Protocol) {
            Some("ed25519") => "ed25519",
            _ => "rsa",
        }
    }

    /// Of the material, or of the id where there is none.
    fn fingerprint(&self, ask: &Ask<'_>) -> String {
        let of = ask.records().fact(self.id, Fact::Source).unwrap_or(self.id);
        fingerprint(of)
    }
}

/// Sixteen bytes that follow from a text. Nobody checks them: they only tell keys apart.
fn fingerprint(of: &str) -> String {
    let seed = of.bytes().fold(0_u64, |sum, byte| mix(sum ^ u64::from(byte)));
    let bytes = seed.to_be_bytes().into_iter().chain(mix(seed).to_be_bytes());
    bytes.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

impl Row for PairRow<'_> {
    fn key(&self) -> String {
        self.id.to_owned()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "key-pair-id" => out.is(self.id),
            "key-name" => out.is(self.name(ask)),
            "fingerprint" => out.is(&self.fingerprint(ask)),
            _ => tag_fields(ask.records().tags(self.id), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("keyPairId", self.id);
        xml.text("keyName", self.name(ask));
        xml.text("keyType", self.kind(ask));
        xml.text("keyFingerprint", self.fingerprint(ask));
        xml.maybe("createTime", ask.records().fact(self.id, Fact::Created));
        if ask.params.text("IncludePublicKey") == Some("true") {
            xml.maybe("publicKey", ask.records().fact(self.id, Fact::Source));
        }
        write_tags(xml, ask.records().tags(self.id));
    }
}

fn owned<'a>(ask: &Ask<'a>) -> impl Iterator<Item = PairRow<'a>> {
    let ids = ask.records().owned(Kind::KeyPair, ask.caller.account, &ask.caller.region);
    ids.map(|id| PairRow { id })
}

fn absent(what: &str) -> Fault {
    Fault::new("InvalidKeyPair.NotFound", format!("The key pair '{what}' does not exist"))
}

fn named<'a>(ask: &Ask<'a>, name: &str) -> Result<PairRow<'a>, Fault> {
    owned(ask).find(|row| row.name(ask) == name).ok_or_else(|| absent(name))
}

/// Is there a key pair of this name?
///
/// # Errors
/// `InvalidKeyPair.NotFound`.
pub(super) fn by_name(ask: &Ask<'_>, name: &str) -> Result<(), Fault> {
    named(ask, name).map(|_| ())
}

/// The name of a new key pair.
fn new_name(edit: &Edit<'_>) -> Result<String, Fault> {
    let name = edit.params.needed("KeyName")?.to_owned();
    if !name.is_ascii() || name.len() > NAME_CHARS_MAX {
        return Err(Fault::value("KeyName", &name));
    }
    if by_name(&edit.ask(), &name).is_ok() {
        let message = format!("The keypair '{name}' already exists.");
        return Err(Fault::new("InvalidKeyPair.Duplicate", message));
    }
    Ok(name)
}

/// Makes a key pair, and writes what both ways of making one answer.
fn make(
    edit: &mut Edit<'_>,
    xml: &mut Xml,
    name: &str,
    (kind, material): (&str, Option<String>),
) -> Result<String, Fault> {
    let tags = edit.new_tags("key-pair")?;
    let id = edit.make_another(Kind::KeyPair)?;
    edit.remember(&id, Fact::Name, name);
    edit.remember(&id, Fact::Protocol, kind);
    edit.remember(&id, Fact::Created, timestamp(edit.now));
    if let Some(material) = material {
        edit.remember(&id, Fact::Source, material);
    }
    edit.tag_thing(&id, tags);
    let ask = edit.ask();
    let row = PairRow { id: &id };
    xml.text("keyName", name);
    xml.text("keyFingerprint", row.fingerprint(&ask));
    xml.text("keyPairId", &id);
    write_tags(xml, ask.records().tags(&id));
    Ok(id)
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let name = new_name(edit)?;
    let kind = match edit.params.text("KeyType") {
        None | Some("rsa") => "rsa",
        Some("ed25519") => "ed25519",
        Some(other) => return Err(Fault::value("keyType", other)),
    };
    let id = make(edit, xml, &name, (kind, None))?;
    let text = fingerprint(&id).replace(':', "");
    let (begin, end) = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----");
    xml.text("keyMaterial", format!("{begin}\n{text}\n{end}"));
    Ok(())
}

fn import(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let name = new_name(edit)?;
    let encoded = edit.params.needed("PublicKeyMaterial")?;
    let invalid =
        || Fault::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    if encoded.len() > MATERIAL_CHARS_MAX {
        return Err(invalid());
    }
    let material = decoded(encoded).and_then(|bytes| String::from_utf8(bytes).ok());
    let material = material.ok_or_else(invalid)?;
    let kind = match material.split(' ').next() {
        Some("ssh-ed25519") => "ed25519",
        Some("ssh-rsa" | "----") => "rsa",
        _ => return Err(invalid()),
    };
    make(edit, xml, &name, (kind, Some(material.trim_end().to_owned())))?;
    Ok(())
}

/// The bytes of a text in base64 (RFC 4648, 4).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| -> Option<u32> {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        Some(value.into())
    };
    let mut bytes = Vec::new();
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digits = digits.iter().rposition(|byte| *byte != b'=').map_or(&[][..], |n| &digits[..=n]);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for byte in group {
            bits = bits << 6 | digit(*byte)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, a, b, c] = bits.to_be_bytes();
        bytes.extend([a, b, c].iter().take((group.len() * 6) / 8));
    }
    Some(bytes)
}

fn describe_pairs(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for name in ask.params.list("KeyName") {
        rows.push(named(ask, name)?);
    }
    for id in ask.params.list("KeyPairId") {
        rows.push(owned(ask).find(|row| row.id == id).ok_or_else(|| absent(id))?);
    }
    if rows.is_empty() {
        rows.extend(owned(ask));
    }
    describe(ask, xml, "keySet", PageBounds::USUAL, rows)
}

/// That there is none is no error, as in EC2.
fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let id = match (ask.params.text("KeyName"), ask.params.text("KeyPairId")) {
        (Some(name), _) => named(&ask, name).ok().map(|row| row.id.to_owned()),
        (None, Some(id)) => owned(&ask).find(|row| row.id == id).map(|row| row.id.to_owned()),
        (None, None) => return Err(Fault::missing("KeyName")),
    };
    if let Some(id) = &id {
        edit.forget(id);
    }
    done(xml);
    xml.maybe("keyPairId", id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9v\nYmFy", Some(b"foobar")),
            ("Zm9vYg", Some(b"foob")),
            ("Zm9*", None),
        ] {
            assert_eq!(decoded(text).as_deref(), bytes, "{text}");
        }
    }
}
