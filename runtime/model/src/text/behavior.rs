//! Behaviour as text: a list of items, each with its fields in the order in which they are declared.
//!
//! ```text
//! behavior {
//!   owner { path: [{ name: "tanks", axes: [3] }], count: 3, order: [0, 1, 2] }
//!   handler { owner: 0, trigger: Rising(0), scope: none, guard: none, body: 2, … }
//!   code { name: "on rising", owner: 0, params: 0, registers: 2, instrs: [
//!     Const(0, Num(1.0)) @3,
//!     Return(none) @4,
//!   ] }
//! }
//! ```
//!
//! Numbers read back to the same bits; what is optional is `none` or the thing itself.

use std::fmt::Write;
use std::sync::Arc;

use super::lexer::Token;
use super::names::{CMP, UN, space, thing, word};
use super::print::{number, quoted};
use super::read::{Problem, ReadError, Reader};
use crate::behavior::{
    Argument, Behavior, Cell, Code, Const, Dispatch, Dist, Empty, Event, Format, Handler, Heard, Hearer,
    Holds, Home, Instr, Machine, Message, Method, Mirror, Op2, Owner, Pattern, Period, Population,
    RecordType, Route, Shown, SlotRef, State, Trigger, TwinRef, Watch, Which,
};
use crate::dimension::Dimension;
use crate::ids::{EnumId, OriginId, TableId, VarId};
use crate::ir::{CmpOp, MathFn, Space, UnOp};
use crate::schema::{DisplayUnit, Kind, Segment};

type R<T> = Result<T, ReadError>;

/// Deepest nesting of distributions in distributions.
const NESTING: usize = 64;

/// Something with a text form.
pub(super) trait Item: Sized {
    fn put(&self, out: &mut String);
    fn get(r: &mut Reader) -> R<Self>;
}

/// Structures: `{ name: value, … }`.
macro_rules! structures {
    ($($t:ident { $($f:ident),* })*) => {$(
        impl Item for $t {
            fn put(&self, out: &mut String) {
                out.push('{');
                let mut first = true;
                $(
                    out.push_str(if std::mem::take(&mut first) { " " } else { ", " });
                    out.push_str(concat!(stringify!($f), ": "));
                    self.$f.put(out);
                )*
                let _ = first;
                out.push_str(" }");
            }
            fn get(r: &mut Reader) -> R<$t> {
                r.mark('{', "{")?;
                let mut first = true;
                $(
                    if !std::mem::take(&mut first) {
                        r.mark(',', ",")?;
                    }
                    r.word(stringify!($f))?;
                    r.mark(':', ":")?;
                    let $f = Item::get(r)?;
                )*
                let _ = first;
                r.mark('}', "}")?;
                Ok($t { $($f),* })
            }
        }
    )*};
}

/// Choices: `Word` or `Word(value, …)`.
macro_rules! choices {
    ($($t:ident, $what:literal { $($u:ident),* ; $($v:ident($($f:ident),+)),* })*) => {$(
        impl Item for $t {
            fn put(&self, out: &mut String) {
                match self {
                    $($t::$u => out.push_str(stringify!($u)),)*
                    $($t::$v($($f),+) => {
                        out.push_str(concat!(stringify!($v), "("));
                        let mut first = true;
                        $(
                            if !std::mem::take(&mut first) {
                                out.push_str(", ");
                            }
                            $f.put(out);
                        )+
                        let _ = first;
                        out.push(')');
                    })*
                }
            }
            fn get(r: &mut Reader) -> R<$t> {
                let unknown = r.expected($what);
                match r.any_word($what)?.as_str() {
                    $(stringify!($u) => Ok($t::$u),)*
                    $(stringify!($v) => {
                        r.mark('(', "(")?;
                        let mut first = true;
                        $(
                            if !std::mem::take(&mut first) {
                                r.mark(',', ",")?;
                            }
                            let $f = Item::get(r)?;
                        )+
                        let _ = first;
                        r.mark(')', ")")?;
                        Ok($t::$v($($f),+))
                    })*
                    _ => Err(unknown),
                }
            }
        }
    )*};
}

impl Item for u32 {
    fn put(&self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
    fn get(r: &mut Reader) -> R<u32> {
        r.u32()
    }
}

impl Item for u16 {
    fn put(&self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
    fn get(r: &mut Reader) -> R<u16> {
        let wide = r.error(Problem::Number);
        u16::try_from(r.u32()?).map_err(|_| wide)
    }
}

impl Item for i128 {
    fn put(&self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
    fn get(r: &mut Reader) -> R<i128> {
        r.i128()
    }
}

impl Item for i64 {
    fn put(&self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
    fn get(r: &mut Reader) -> R<i64> {
        let wide = r.error(Problem::Number);
        i64::try_from(r.i128()?).map_err(|_| wide)
    }
}

impl Item for f64 {
    fn put(&self, out: &mut String) {
        out.push_str(&number(self.to_bits()));
    }
    fn get(r: &mut Reader) -> R<f64> {
        r.f64().map(f64::from_bits)
    }
}

impl Item for bool {
    fn put(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
    fn get(r: &mut Reader) -> R<bool> {
        let unknown = r.expected("true or false");
        match r.any_word("true or false")?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(unknown),
        }
    }
}

impl Item for String {
    fn put(&self, out: &mut String) {
        out.push_str(&quoted(self));
    }
    fn get(r: &mut Reader) -> R<String> {
        r.text()
    }
}

impl Item for Arc<str> {
    fn put(&self, out: &mut String) {
        out.push_str(&quoted(self));
    }
    fn get(r: &mut Reader) -> R<Arc<str>> {
        r.text().map(Arc::from)
    }
}

impl Item for Arc<[f64]> {
    fn put(&self, out: &mut String) {
        list(self, out);
    }
    fn get(r: &mut Reader) -> R<Arc<[f64]>> {
        Vec::get(r).map(Arc::from)
    }
}

impl Item for Arc<Shown> {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
    fn get(r: &mut Reader) -> R<Arc<Shown>> {
        Shown::get(r).map(Arc::new)
    }
}

impl Item for Box<Dispatch> {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
    fn get(r: &mut Reader) -> R<Box<Dispatch>> {
        Dispatch::get(r).map(Box::new)
    }
}

impl Item for Box<TwinRef> {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
    fn get(r: &mut Reader) -> R<Box<TwinRef>> {
        TwinRef::get(r).map(Box::new)
    }
}

impl Item for Box<Dist> {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
    fn get(r: &mut Reader) -> R<Box<Dist>> {
        deeper(r, Dist::get).map(Box::new)
    }
}

/// Reads something that may hold itself.
pub(super) fn deeper<T>(r: &mut Reader, get: impl FnOnce(&mut Reader) -> R<T>) -> R<T> {
    if r.depth >= NESTING {
        return Err(r.error(Problem::TooDeep));
    }
    r.depth += 1;
    let out = get(r);
    r.depth -= 1;
    out
}

impl<T: Item> Item for Option<T> {
    fn put(&self, out: &mut String) {
        match self {
            Some(x) => x.put(out),
            None => out.push_str("none"),
        }
    }
    fn get(r: &mut Reader) -> R<Option<T>> {
        if r.is_word("none") { Ok(None) } else { T::get(r).map(Some) }
    }
}

fn list<T: Item>(items: &[T], out: &mut String) {
    out.push('[');
    for (k, x) in items.iter().enumerate() {
        if k > 0 {
            out.push_str(", ");
        }
        x.put(out);
    }
    out.push(']');
}

impl<T: Item> Item for Vec<T> {
    fn put(&self, out: &mut String) {
        list(self, out);
    }
    fn get(r: &mut Reader) -> R<Vec<T>> {
        deeper(r, |r| {
            let mut out = Vec::new();
            r.mark('[', "[")?;
            while !r.is_mark(']') {
                if !out.is_empty() {
                    r.mark(',', ", or ]")?;
                }
                out.push(T::get(r)?);
            }
            Ok(out)
        })
    }
}

macro_rules! tuples {
    ($(($($t:ident $f:ident),+))*) => {$(
        impl<$($t: Item),+> Item for ($($t,)+) {
            fn put(&self, out: &mut String) {
                let ($($f,)+) = self;
                out.push('(');
                let mut first = true;
                $(
                    if !std::mem::take(&mut first) {
                        out.push_str(", ");
                    }
                    $f.put(out);
                )+
                let _ = first;
                out.push(')');
            }
            fn get(r: &mut Reader) -> R<Self> {
                r.mark('(', "(")?;
                let mut first = true;
                $(
                    if !std::mem::take(&mut first) {
                        r.mark(',', ",")?;
                    }
                    let $f = $t::get(r)?;
                )+
                let _ = first;
                r.mark(')', ")")?;
                Ok(($($f,)+))
            }
        }
    )*};
}
pub(super) use {choices, structures};
tuples! { (A a, B b) (A a, B b, C c) }

macro_rules! ids {
    ($($t:ident)*) => {$(
        impl Item for $t {
            fn put(&self, out: &mut String) {
                self.0.put(out);
            }
            fn get(r: &mut Reader) -> R<$t> {
                r.u32().map($t)
            }
        }
    )*};
}
ids! { VarId OriginId TableId EnumId }

macro_rules! words {
    ($($t:ident $list:ident $what:literal)*) => {$(
        impl Item for $t {
            fn put(&self, out: &mut String) {
                out.push_str(word($list, self));
            }
            fn get(r: &mut Reader) -> R<$t> {
                let unknown = r.expected($what);
                thing($list, &r.any_word($what)?).ok_or(unknown)
            }
        }
    )*};
}
words! { UnOp UN "an operation" CmpOp CMP "a comparison" }

impl Item for Space {
    fn put(&self, out: &mut String) {
        out.push_str(self.name());
    }
    fn get(r: &mut Reader) -> R<Space> {
        let unknown = r.expected("a space");
        space(&r.any_word("a space")?).ok_or(unknown)
    }
}

impl Item for MathFn {
    fn put(&self, out: &mut String) {
        out.push_str(self.name());
    }
    fn get(r: &mut Reader) -> R<MathFn> {
        let unknown = r.expected("a function");
        MathFn::from_name(&r.any_word("a function")?).ok_or(unknown)
    }
}

impl Item for Dimension {
    fn put(&self, out: &mut String) {
        out.push_str(&quoted(&self.to_string()));
    }
    fn get(r: &mut Reader) -> R<Dimension> {
        let unknown = r.expected("a dimension");
        Dimension::parse(&r.text()?).ok_or(unknown)
    }
}

structures! {
    Segment { name, axes }
    DisplayUnit { symbol, scale, offset }
    Shown { unit, dimension }
    Home { name, space, base, len, start, kind }
    Owner { path, count, order }
    Event { owner, name, counter }
    Watch { var, owner, origin }
    Cell { owner, name, len, start, empty, origin }
    Mirror { owner, code, var }
    State { name, parent, initial, first_leaf, end_leaf, entry, exit }
    Machine { owner, name, var, states, initial, origin }
    Heard { event, per, only }
    Handler { owner, trigger, scope, guard, body, target, params, queued, origin }
    Population { name, present, len, owners, anew }
    Route { from, from_instance, to, to_instance }
    RecordType { name, fields }
    SlotRef { var, base, stride, at }
    Message { name }
    Hearer { handler, args }
    Argument { holds, optional }
    TwinRef { owner, base, stride, at }
    Dispatch { message, to, answers, args, after, priority, ttl }
}

/// `every d offset o`
struct Ticks(Period, Period);

impl Item for Ticks {
    fn put(&self, out: &mut String) {
        self.0.put(out);
        out.push_str(" offset ");
        self.1.put(out);
    }
    fn get(r: &mut Reader) -> R<Ticks> {
        let period = Period::get(r)?;
        r.word("offset")?;
        Ok(Ticks(period, Period::get(r)?))
    }
}

impl Item for Trigger {
    fn put(&self, out: &mut String) {
        match self {
            Trigger::Every { period, offset } => {
                out.push_str("Every(");
                Ticks(*period, *offset).put(out);
                out.push(')');
            }
            Trigger::Start => out.push_str("Start"),
            Trigger::Stop => out.push_str("Stop"),
            Trigger::Rising(x) => one("Rising", x, out),
            Trigger::Falling(x) => one("Falling", x, out),
            Trigger::Change(x) => one("Change", x, out),
            Trigger::When(x) => one("When", x, out),
            Trigger::At(x) => one("At", x, out),
            Trigger::After(x) => one("After", x, out),
            Trigger::Event(x) => one("Event", x, out),
            Trigger::Pattern(x) => one("Pattern", x, out),
        }
    }
    fn get(r: &mut Reader) -> R<Trigger> {
        let unknown = r.expected("a trigger");
        Ok(match r.any_word("a trigger")?.as_str() {
            "Start" => Trigger::Start,
            "Stop" => Trigger::Stop,
            "Every" => {
                let Ticks(period, offset) = within(r)?;
                Trigger::Every { period, offset }
            }
            "Rising" => Trigger::Rising(within(r)?),
            "Falling" => Trigger::Falling(within(r)?),
            "Change" => Trigger::Change(within(r)?),
            "When" => Trigger::When(within(r)?),
            "At" => Trigger::At(within(r)?),
            "After" => Trigger::After(within(r)?),
            "Event" => Trigger::Event(within(r)?),
            "Pattern" => Trigger::Pattern(within(r)?),
            _ => return Err(unknown),
        })
    }
}

fn one(word: &str, x: &impl Item, out: &mut String) {
    out.push_str(word);
    out.push('(');
    x.put(out);
    out.push(')');
}

/// Something in brackets.
fn within<T: Item>(r: &mut Reader) -> R<T> {
    r.mark('(', "(")?;
    let x = T::get(r)?;
    r.mark(')', ")")?;
    Ok(x)
}

choices! {
    Kind, "a kind" { Real, Int, Bool ; Enum(a) }
    Empty, "what an empty cell holds" { None, List, Set, Map ; }
    Which, "Value, Der or Start" { Value, Der, Start ; }
    Period, "a time" { ; Exact(a), Code(a) }
    Const, "a constant" { None ; Num(a), Bool(a), Str(a) }
    Op2, "an operation" { Add, Sub, Mul, Div, Pow, Min, Max, And, Or, Xor, WholeAdd, WholeSub, WholeMul, WholePow ; Cmp(a) }
    Method, "a method" {
        Len, IsEmpty, Push, Pop, First, Last, Get, Insert, Remove, Contains, Clear, Append, Keys, Values, Sort,
        SortBy, MinBy, MaxBy, Map, Filter, Any, All, Sum, Lower, Upper, Split, Trim ;
    }
    Format, "a part of a text" { ; Text(a), Value(a, b) }
    Dist, "a distribution" {
        ; Named(a, b), Discrete(a, b), Truncated(a, b, c), Mixture(a, b), Samples(a)
    }
    Holds, "what a parameter holds" { Any, Number, Truth, Text, List, Map, Twin ; Record(a) }
    Pattern, "a pattern" {
        ; Sequence(a), All(a, b), Any(a), Count(a, b, c), Absence(a, b), Causal(a, b, c)
    }
    Instr, "an instruction" {
        ; Const(a, b), Move(a, b), Time(a), Instance(a), Load(a, b, c, d), LoadArray(a, b, c, d, e), Store(a, b),
        StoreArray(a, b, c, d), LoadCell(a, b, c, d, e), TakeCell(a, b, c, d, e), StoreCell(a, b, c, d, e),
        Un(a, b, c), Not(a, b), Bin(a, b, c, d), Math(a, b, c), Table(a, b, c), Jump(a), JumpUnless(a, b),
        Call(a, b, c), Return(a), List(a, b), Record(a, b, c), Field(a, b, c), WithField(a, b, c, d),
        Index(a, b, c), WithElement(a, b, c, d), Method(a, b, c, d), Closure(a, b, c), Format(a, b), Emit(a, b), Twin(a, b, c), Send(a), Collect(a, b, c),
        Wait(a), WaitUntil(a), WaitFor(a), Draw(a, b), Arm(a, b, c), Log(a), Fail(a), Stop(a), NoMatch(a), Create(a, b), Retire(a, b), RetireSelf(a, b)
    }
}

impl Item for Code {
    fn put(&self, out: &mut String) {
        let Code { name, owner, params, registers, instrs, origins } = self;
        let _ = writeln!(out, "{} owner {owner} params {params} registers {registers} {{", quoted(name));
        for (k, i) in instrs.iter().enumerate() {
            out.push_str("    ");
            i.put(out);
            if let Some(o) = origins.get(k) {
                let _ = write!(out, " @{}", o.0);
            }
            out.push('\n');
        }
        out.push_str("  }");
    }
    fn get(r: &mut Reader) -> R<Code> {
        let name = r.text()?;
        r.word("owner")?;
        let owner = r.u32()?;
        r.word("params")?;
        let params = u16::get(r)?;
        r.word("registers")?;
        let registers = u16::get(r)?;
        r.mark('{', "{")?;
        let (mut instrs, mut origins) = (Vec::new(), Vec::new());
        while !r.is_mark('}') {
            instrs.push(Instr::get(r)?);
            r.mark('@', "@ and the number of an origin")?;
            origins.push(OriginId(r.u32()?));
        }
        Ok(Code { name, owner, params, registers, instrs, origins })
    }
}

/// The items of behaviour with their words, in order.
macro_rules! sections {
    ($($f:ident $w:literal)*) => {
        /// Behaviour as text, with its final line break; nothing where there is none.
        #[must_use]
        pub fn behavior_text(b: &Behavior) -> String {
            let mut out = String::new();
            if *b == Behavior::default() {
                return out;
            }
            out.push_str("behavior {\n");
            $(
                for x in &b.$f {
                    out.push_str(concat!("  ", $w, " "));
                    x.put(&mut out);
                    out.push('\n');
                }
            )*
            out.push_str("}\n");
            out
        }

        impl Reader {
            /// What stands behind the word `behavior`.
            pub(super) fn behavior(&mut self) -> R<Behavior> {
                let mut b = Behavior::default();
                self.mark('{', "{")?;
                while !self.is_mark('}') {
                    let unknown = self.expected("an item of behaviour");
                    match self.any_word("an item of behaviour")?.as_str() {
                        $($w => b.$f.push(Item::get(self)?),)*
                        _ => return Err(unknown),
                    }
                }
                Ok(b)
            }
        }
    };
}
sections! {
    vars "family"
    owners "owner"
    events "event"
    watches "watch"
    cells "cell"
    mirrors "mirror"
    machines "machine"
    handlers "handler"
    routes "route"
    records "record"
    populations "population"
    messages "message"
    hearers "hearer"
    codes "code"
}

/// Reads what [`behavior_text`] prints.
///
/// # Errors
///
/// Where the text is not of this form.
pub fn read_behavior(text: &str) -> Result<Behavior, ReadError> {
    let mut r = Reader::new(text)?;
    if *r.peek() == Token::End {
        return Ok(Behavior::default());
    }
    r.word("behavior")?;
    let b = r.behavior()?;
    if *r.peek() != Token::End {
        return Err(r.expected("the end of the text"));
    }
    Ok(b)
}
