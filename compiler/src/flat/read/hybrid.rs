//! What happens at instants (see `print/hybrid`).

use super::{Problem, Read, ReadError, Reader};
use crate::flat::{Clamp, Noise, System};
use twinml_model::behavior::Behavior;
use twinml_model::ids::VarId;
use twinml_model::text::read_behavior;

/// Takes the block of behaviour off the end of a text: it has its own form.
pub(super) fn behavior_of(text: &str) -> Result<(&str, Behavior), ReadError> {
    const HEAD: &str = "behavior {\n";
    let at = if text.starts_with(HEAD) { Some(0) } else { text.find(&format!("\n{HEAD}")).map(|at| at + 1) };
    let Some(at) = at else { return Ok((text, Behavior::default())) };
    let (head, block) = text.split_at(at);
    let above = u32::try_from(head.bytes().filter(|b| *b == b'\n').count()).unwrap_or(u32::MAX);
    match read_behavior(block) {
        Ok(model) => Ok((head, model)),
        Err(e) => Err(ReadError {
            line: above.saturating_add(e.line),
            what: Problem::Behavior(e.problem.to_string()),
        }),
    }
}

impl Reader {
    /// An entry of this kind, if one begins here.
    pub(super) fn hybrid(&mut self, s: &mut System) -> Read<bool> {
        if self.take_word("next") {
            s.nexts.push(self.equation()?);
        } else if self.take_word("clamp") {
            let var = self.var_name()?;
            self.word("limits")?;
            let limits = [self.family_or_none()?, self.family_or_none()?];
            self.word("held")?;
            let held = [self.family_or_none()?, self.family_or_none()?];
            s.clamps.push(Clamp { var, limits, held, span: self.span()? });
        } else if self.take_word("noise") {
            let var = self.var_name()?;
            self.word("first")?;
            let mut first = Vec::new();
            self.op("[")?;
            while !self.is_op("]") {
                first.push(self.int()?);
                if !self.take_op(",") {
                    break;
                }
            }
            self.op("]")?;
            s.noises.push(Noise { var, first, span: self.span()? });
        } else if self.take_word("change") {
            let var = self.var_name()?;
            s.behavior_changes.push((var, self.span()?));
        } else if self.take_word("place") {
            let path = self.string()?;
            s.behavior.places.push((self.span()?, path));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn family_or_none(&mut self) -> Read<Option<VarId>> {
        if self.take_op("-") { Ok(None) } else { self.var_name().map(Some) }
    }
}
