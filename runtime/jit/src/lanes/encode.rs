//! Bytes of x86-64 vector instructions: VEX with 256 bits, EVEX with 512, the few scalar ones around them.
//!
//! Written by hand rather than with an assembler crate: some forty instructions share two prefixes, and embedded
//! broadcasts and compressed displacements are what the emitter lives on. The tests read every form back with a
//! disassembler. Intel's manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).

/// A general register, by number.
pub(super) type Gpr = u8;
pub(super) const RAX: Gpr = 0;
pub(super) const RCX: Gpr = 1;
pub(super) const RDX: Gpr = 2;
pub(super) const RSI: Gpr = 6;
pub(super) const RDI: Gpr = 7;

/// Where an operand stands in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mem {
    /// Not `rsp` or `r12`, whose numbers mean something else there.
    pub base: Gpr,
    pub disp: i32,
    /// One element for all lanes (EVEX only).
    pub broadcast: bool,
}

/// The operand that may be in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    Reg(u8),
    Mem(Mem),
}

/// Opcode maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Map {
    M0f = 1,
    M0f38 = 2,
    M0f3a = 3,
}

/// An instruction, but for its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Opcode {
    pub map: Map,
    /// 0 none, 1 `66`, 2 `F3`, 3 `F2`.
    pub pp: u8,
    pub w: bool,
    pub byte: u8,
}

/// With the prefix `66`.
pub(super) const fn op(map: Map, w: bool, byte: u8) -> Opcode {
    Opcode { map, pp: 1, w, byte }
}

/// A jump or label, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(pub usize);

/// Code being written.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub bytes: Vec<u8>,
    labels: Vec<Option<usize>>,
    /// `(where the 4 bytes are, label)`.
    jumps: Vec<(usize, Label)>,
}

/// What is special about an EVEX instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Masked {
    /// Mask register, 0 none.
    pub k: u8,
    /// Lanes without the mask become zero.
    pub zero: bool,
}

impl Code {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The first bytes of a word.
    #[inline(always)]
    fn word(&mut self, word: u128, bytes: usize) {
        let at = self.bytes.len();
        // sixteen at once, and what is too much taken back: cheaper than so many as there are
        self.bytes.extend_from_slice(&word.to_le_bytes());
        self.bytes.truncate(at + bytes);
    }

    /// An instruction that begins with so many bytes, then ModRM and displacement; `scale` is what an 8-bit displacement
    /// counts (a power of two).
    #[inline(always)]
    fn instruction(&mut self, head: u64, length: usize, reg: u8, rm: Rm, scale: i32) {
        let reg = (reg & 7) << 3;
        let (modrm, disp, bytes) = match rm {
            Rm::Reg(r) => (0xc0 | reg | (r & 7), 0, 0),
            Rm::Mem(m) => {
                let base = m.base & 7;
                debug_assert!(base != 4);
                let short = m.disp >> scale.trailing_zeros();
                if m.disp == 0 && base != 5 {
                    (reg | base, 0, 0)
                } else if m.disp & (scale - 1) == 0 && i8::try_from(short).is_ok() {
                    (0x40 | reg | base, short, 1)
                } else {
                    (0x80 | reg | base, m.disp, 4)
                }
            }
        };
        let tail = u64::from(modrm) | u64::from(disp as u32) << 8;
        self.word(u128::from(head) | u128::from(tail) << (8 * length), length + 1 + bytes);
    }

    /// A VEX instruction; `long`: 256 bits.
    pub fn vex(&mut self, o: Opcode, long: bool, reg: u8, second: u8, rm: Rm) {
        let (b, mem) = match rm {
            Rm::Reg(r) => (r >> 3, false),
            Rm::Mem(m) => (m.base >> 3, true),
        };
        debug_assert!(!mem || !matches!(rm, Rm::Mem(Mem { broadcast: true, .. })));
        let p0 = (u8::from(reg < 8) << 7) | 0x40 | ((b ^ 1) << 5) | o.map as u8;
        let p1 = (u8::from(o.w) << 7) | ((!second & 15) << 3) | (u8::from(long) << 2) | o.pp;
        self.instruction(u64::from(u32::from_le_bytes([0xc4, p0, p1, o.byte])), 4, reg, rm, 1);
    }

    /// An EVEX instruction with 512 bits; `element`: the memory operand is one element of 8 bytes.
    pub fn evex(&mut self, o: Opcode, reg: u8, second: u8, rm: Rm, mask: Masked, element: bool) {
        let (b, x, broadcast) = match rm {
            Rm::Reg(r) => (r >> 3 & 1, r >> 4, false),
            Rm::Mem(m) => (m.base >> 3, 0, m.broadcast),
        };
        let p0 =
            ((reg >> 3 & 1 ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5) | ((reg >> 4 ^ 1) << 4) | o.map as u8;
        let p1 = (u8::from(o.w) << 7) | ((!second & 15) << 3) | 4 | o.pp;
        let p2 = (u8::from(mask.zero) << 7)
            | 0x40
            | (u8::from(broadcast) << 4)
            | ((second >> 4 ^ 1) << 3)
            | mask.k;
        let head = u64::from_le_bytes([0x62, p0, p1, p2, o.byte, 0, 0, 0]);
        self.instruction(head, 5, reg, rm, if broadcast || element { 8 } else { 64 });
    }

    pub fn byte(&mut self, b: u8) {
        self.bytes.push(b);
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub fn place(&mut self, l: Label) {
        self.labels[l.0] = Some(self.bytes.len());
    }

    fn target(&mut self, l: Label) {
        self.jumps.push((self.bytes.len(), l));
        self.push(&[0; 4]);
    }

    pub fn jmp(&mut self, l: Label) {
        self.byte(0xe9);
        self.target(l);
    }

    /// Conditional jump: 5 not zero, 3 no carry.
    pub fn jcc(&mut self, condition: u8, l: Label) {
        self.push(&[0x0f, 0x80 | condition]);
        self.target(l);
    }

    /// All jumps get their targets.
    pub fn link(&mut self) {
        for &(at, l) in &self.jumps {
            // every label is placed before the end
            let to = self.labels[l.0].unwrap_or(0) as i64;
            let distance = (to - at as i64 - 4) as i32;
            self.bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        self.jumps.clear();
    }

    /// `mov r64, [base + disp]`.
    pub fn load64(&mut self, r: Gpr, base: Gpr, disp: i32) {
        let head = u64::from(u16::from_le_bytes([0x48 | (r >> 3 << 2) | (base >> 3), 0x8b]));
        self.instruction(head, 2, r, Rm::Mem(Mem { base, disp, broadcast: false }), 1);
    }

    /// `lea r64, [base + disp]`.
    pub fn lea(&mut self, r: Gpr, base: Gpr, disp: i32) {
        let head = u64::from(u16::from_le_bytes([0x48 | (r >> 3 << 2) | (base >> 3), 0x8d]));
        self.instruction(head, 2, r, Rm::Mem(Mem { base, disp, broadcast: false }), 1);
    }

    /// `mov r32, imm32` (not for `r8` and above).
    pub fn set32(&mut self, r: Gpr, x: u32) {
        self.byte(0xb8 | r);
        self.push(&x.to_le_bytes());
    }

    /// `push r64`.
    pub fn push64(&mut self, r: Gpr) {
        if r > 7 {
            self.byte(0x41);
        }
        self.byte(0x50 | (r & 7));
    }

    /// `pop r64`.
    pub fn pop64(&mut self, r: Gpr) {
        if r > 7 {
            self.byte(0x41);
        }
        self.byte(0x58 | (r & 7));
    }

    /// `dec rdx`.
    pub fn dec_rdx(&mut self) {
        self.push(&[0x48, 0xff, 0xca]);
    }

    /// `test eax, eax`.
    pub fn test_eax(&mut self) {
        self.push(&[0x85, 0xc0]);
    }

    /// `cmp eax, imm8`.
    pub fn cmp_eax(&mut self, x: u8) {
        self.push(&[0x83, 0xf8, x]);
    }

    /// `xor eax, imm8`.
    pub fn xor_eax(&mut self, x: u8) {
        self.push(&[0x83, 0xf0, x]);
    }

    /// `mov edx, eax`.
    pub fn edx_from_eax(&mut self) {
        self.push(&[0x89, 0xc2]);
    }

    /// `call rax`.
    pub fn call_rax(&mut self) {
        self.push(&[0xff, 0xd0]);
    }

    /// `sub rsp, n` or `add rsp, n`.
    pub fn move_stack(&mut self, down: bool, n: u8) {
        self.push(&[0x48, 0x83, if down { 0xec } else { 0xc4 }, n]);
    }

    pub fn vzeroupper(&mut self) {
        self.push(&[0xc5, 0xf8, 0x77]);
    }

    pub fn ret(&mut self) {
        self.byte(0xc3);
    }
}
