//! The codes of what can be wrong with a scenario file: one row each.
//!
//! Holds code, name and long explanation. Refuses to hold messages: those are written where the
//! fault is found, and say what is wrong with *this* file.

/// The long form of a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The code, e.g. `E0201`.
    pub code: &'static str,
    /// What kind of fault it is, in a few words.
    pub title: &'static str,
    /// What it means, why it is refused and what to do.
    pub text: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal => $text:literal;)+) => {
        $(#[doc = $title] pub const $name: &str = $code;)+

        /// Every code, ascending.
        pub const ALL: &[Explanation] = &[
            $(Explanation { code: $code, title: $title, text: $text },)+
        ];
    };
}

codes! {
    UNREADABLE = "E0001", "A file cannot be read" =>
        "The file is missing, not a regular file, too large, not UTF-8 text, or lies outside the \
         directory of the scenario. A file named by a scenario must lie below the scenario's own \
         directory and be reached without symbolic links, so that a scenario from elsewhere cannot \
         read what it should not.";
    SYNTAX = "E0101", "The text is not YAML" =>
        "The YAML parser stopped here; what follows was not read. Frequent causes are a tab in the \
         indentation, a missing space after a colon, and a bracket or quote that is not closed.";
    FEATURE = "E0102", "A feature of YAML that scenario files do not have" =>
        "Anchors, aliases, tags, keys that are lists or mappings, and several documents in one file are \
         refused. A reader of a scenario should not have to expand anything in the head, and a \
         small file cannot be made to unfold into a huge one.";
    TOO_LARGE = "E0103", "The file is larger than a scenario may be" =>
        "Size, nesting, the number of values and the number of accounts, VPCs, subnets, instances and \
         routes are limited, so that a file cannot exhaust the machine.";
    DUPLICATE_KEY = "E0104", "A key stands twice in one mapping" =>
        "YAML would leave open which of the two holds. Remove one.";
    EMPTY = "E0105", "The file is empty" =>
        "A scenario has at least `vpclab: 1` and a `name`.";
    UNKNOWN_KEY = "E0201", "A key that the format does not have" =>
        "Unknown keys are refused because a misspelt one would otherwise silently do nothing.";
    MISSING_KEY = "E0202", "A required key is missing" =>
        "The mapping cannot be understood without this key.";
    WRONG_KIND = "E0203", "A value of the wrong kind" =>
        "A mapping, a list or a single value stands where the format wants another of these. A key \
         without a value counts as wrong, too: leave the key out instead.";
    COMBINATION = "E0204", "Keys that do not go together" =>
        "Of some keys exactly one must be given, and some have a meaning only beside others.";
    VALUE = "E0301", "A value that does not read" =>
        "The value is not of the form that its key wants: a label, an address, a quantity with its \
         unit, one of a list of words.";
    RANGE = "E0302", "A value out of its range" =>
        "The value reads, but is smaller or larger than the format allows.";
    UNKNOWN_LABEL = "E0401", "A label that nothing carries" =>
        "A resource is named that the file does not declare and that no earlier step introduces. A \
         step that expects to be refused introduces nothing.";
    LABEL_TAKEN = "E0402", "A label that is taken" =>
        "Labels stand for one resource throughout the file, also after it is gone. A peering and an \
         instance cannot share one, because both may be the target of a route.";
    UNKNOWN_REASON = "E0403", "A drop reason that does not exist" =>
        "Expectations name the reason of a drop by its label; `vpclab explain` lists them.";
    EXPECTATION = "E0404", "An expectation that does not fit its step" =>
        "Commands succeed, are refused, or lead to a state; a name resolves or does not; traffic is \
         delivered, answered or dropped. An expectation of another sort could never be judged.";
    UNKNOWN_CODE = "E0405", "An EC2 error code that is never given" =>
        "The cloud refuses a command with one of a fixed list of codes. One that is not in the list could \
         never be the answer.";
    REFUSED = "E0501", "The cloud refuses what the file declares" =>
        "The declared network is lowered to the same commands as everything else, so a file cannot \
         declare what the cloud would refuse. To show a refusal, ask in a step and expect it: \
         `expect: {refused: CODE}`.";
    FAILED_PEERING = "E0502", "A declared peering would end in `failed`" =>
        "Overlapping blocks do not make a request an error in EC2, they make it a connection in the \
         state `failed`. A declared peering is meant to exist. To show the failure, ask in a step: \
         `request-peering` with `expect: {state: failed}`.";
    PLACEMENT = "E0503", "It is not clear where an instance belongs" =>
        "An instance that names only its VPC goes into the subnet that holds its `ip`, else into the \
         only subnet, else into the first default one.";
    LATE = "E0504", "A step comes too late for its `at`" =>
        "`at` is counted from the start of the run. The steps before had not ended by then.";
}

/// The long form of `code`.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    ALL.iter().find(|row| row.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascend() {
        assert!(ALL.windows(2).all(|w| w[0].code < w[1].code));
        assert_eq!(explain("E0201").map(|e| e.code), Some(UNKNOWN_KEY));
        assert_eq!(explain("E9999"), None);
    }
}
