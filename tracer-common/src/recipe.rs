//! What the argument of an `ioctl` holds and points to, so that the kernel side can bring it all without knowing any
//! driver: sizes, an array of elements, and up to four buffers that each element points to.
//!
//! A buffer may itself be scattered: then it is an array of `struct iovec`, and what those point to is one piece.
//!
//! `I2C_RDWR`, for example: the argument points to an array of messages; each message points to its bytes, which the
//! program gives or, with `I2C_M_RD`, wants.
//!
//! What was followed lies behind the argument in the record's payload, from the next multiple of eight on: for each
//! piece a [`PieceHeader`], then its bytes, padded to eight.

/// Key of the `IOCTLS` map. A command means what the driver behind the descriptor says, so the family comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct RecipeKey {
    /// Drivers that share their commands; see [`crate::config::FAMILY_SHIFT`].
    pub family: u8,
    /// 1: the layout of 32-bit programs.
    pub compat: u8,
    /// 0; 1 for the recipe that holds where [`Recipe::only`] of the first does not.
    pub alternative: u8,
    /// Padding, zero.
    pub pad: u8,
    /// The command, [`without_size`].
    pub command: u32,
}

/// A command without the bits that say how large its argument is: those differ with the length of an array.
#[must_use]
pub const fn without_size(command: u32) -> u32 {
    command & !(0x3fff << 16)
}

/// A number in the program's memory, or one that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Field {
    /// Bytes from the start of the element.
    pub at: u16,
    /// How many bytes it has: 1, 2, 4 or 8; 0: it is [`Self::constant`].
    pub bytes: u8,
    /// Padding, zero.
    pub pad: u8,
    /// The number, if it is no field. Of a field of an element the bits that count; 0: all.
    pub constant: u32,
}

impl Field {
    /// A number of one byte.
    #[must_use]
    pub const fn u8(at: u16) -> Self {
        Self { at, bytes: 1, pad: 0, constant: 0 }
    }

    /// A number of two bytes.
    #[must_use]
    pub const fn u16(at: u16) -> Self {
        Self { at, bytes: 2, pad: 0, constant: 0 }
    }

    /// A number of four bytes.
    #[must_use]
    pub const fn u32(at: u16) -> Self {
        Self { at, bytes: 4, pad: 0, constant: 0 }
    }

    /// A known number.
    #[must_use]
    pub const fn known(constant: u32) -> Self {
        Self { at: 0, bytes: 0, pad: 0, constant }
    }

    /// A length of which only some bits of the field count.
    #[must_use]
    pub const fn masked(mut self, bits: u32) -> Self {
        self.constant = bits;
        self
    }
}

/// Holds if `field & mask` is in `low..=high`. The default always holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Condition {
    /// The number that decides.
    pub field: Field,
    /// Bits of it that count.
    pub mask: u32,
    /// The least.
    pub low: u32,
    /// The greatest.
    pub high: u32,
}

impl Condition {
    /// Always holds.
    pub const ALWAYS: Self = Self { field: Field::known(0), mask: 0, low: 0, high: 0 };

    /// Holds if some bit of `mask` is set in a number.
    #[must_use]
    pub const fn any(field: Field, mask: u32) -> Self {
        Self { field, mask, low: 1, high: u32::MAX }
    }

    /// Holds if no bit of `mask` is set in a number.
    #[must_use]
    pub const fn none(field: Field, mask: u32) -> Self {
        Self { field, mask, low: 0, high: 0 }
    }

    /// Holds if a number lies between two.
    #[must_use]
    pub const fn between(field: Field, low: u32, high: u32) -> Self {
        Self { field, mask: u32::MAX, low, high }
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::ALWAYS
    }
}

/// Bit of `when`: what the program gives, copied before the driver runs.
pub const ENTRY: u8 = 1;
/// Bit of `when`: what the driver answers, copied when it returns without an error.
pub const EXIT: u8 = 2;

/// Bit of [`Buffer::when`]: the length is the most that there may be, the truth is known elsewhere. What lies beyond is
/// neither cut nor unreadable.
pub const AT_MOST: u8 = 4;

/// Memory that an element points to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Buffer {
    /// [`ENTRY`], [`EXIT`], both, or 0: there is no such buffer. With [`AT_MOST`] it may be shorter.
    pub when: u8,
    /// Size of the pointer: 4 or 8; [`BEHIND`]: there is none, the buffer itself lies there.
    pub pointer_bytes: u8,
    /// Where the pointer is in the element.
    pub pointer_at: u16,
    /// How many [`Self::unit`]s it points to; of segments no more than that many of their bytes belong to it.
    pub length: Field,
    /// How many bytes one of them has: 1, a field, or [`LAST_BLOCK`].
    pub unit: Field,
    /// 0: it points to the bytes; else to so many segments, `struct iovec` in the program's layout, that do.
    pub segments: Field,
    /// Whether it is one.
    pub condition: Condition,
}

/// [`Buffer::pointer_bytes`] of an array that lies in or behind its element.
pub const BEHIND: u8 = 0;

/// [`Buffer::unit`]: the length is the number of the last of the device's logical blocks, counted from 0. What a block
/// has is in the `BLOCKS` map; of a device that is not there nothing is followed.
pub const LAST_BLOCK: Field = Field::known(0);

/// Where the elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// The argument is the one element.
    Argument = 0,
    /// The argument is an array of them, as long as the command's number says.
    Array = 1,
    /// The argument points to an array of them.
    Pointer = 2,
    /// They lie in the argument, behind what it begins with.
    Behind = 3,
}

/// The elements of an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Elements {
    /// A [`Place`].
    pub place: u8,
    /// With [`Place::Pointer`] and [`Place::Behind`]: when they are copied themselves, [`ENTRY`] and [`EXIT`].
    pub when: u8,
    /// With [`Place::Pointer`]: size of the pointer, 4 or 8.
    pub pointer_bytes: u8,
    /// Padding, zero.
    pub pad: u8,
    /// With [`Place::Pointer`]: where the pointer is in the argument; with [`Place::Behind`]: where they are.
    pub pointer_at: u16,
    /// Size of one.
    pub bytes: u16,
    /// With [`Place::Pointer`] and [`Place::Behind`]: how many there are; a field of the argument.
    pub count: Field,
    /// With [`Place::Pointer`]: whether there are any; about the argument.
    pub condition: Condition,
}

/// [`Recipe::new_fd`]: the command makes no descriptor.
pub const NO_FD: u16 = u16::MAX;
/// [`Recipe::new_fd`]: the descriptor is what the call returns.
pub const FD_IS_RESULT: u16 = u16::MAX - 1;

/// What the argument of a command holds and points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Recipe {
    /// Bytes of the argument that the kernel reads, with [`Self::sized`].
    pub reads: u16,
    /// Bytes of the argument that the kernel writes, with [`Self::sized`].
    pub writes: u16,
    /// Where in the argument the driver puts a new descriptor, which is of the same device; or [`NO_FD`], [`FD_IS_RESULT`].
    pub new_fd: u16,
    /// Every `when` of below together.
    pub when: u8,
    /// 1: the sizes above hold, be they 0 (the argument is a number); 0: those that the command's number says.
    pub sized: u8,
    /// Whether this recipe holds, about the argument; else the alternative does.
    pub only: Condition,
    /// Its elements.
    pub elements: Elements,
    /// What each element points to.
    pub buffers: [Buffer; BUFFERS],
}

/// Buffers of one element: the most that any driver has (`sg_io_hdr`: command, data out, data in, sense).
pub const BUFFERS: usize = 4;

/// Elements that are followed: `SPI_IOC_MESSAGE` and `I2C_RDWR` take fewer. What lies beyond is visible as cut.
pub const ELEMENTS: u32 = 128;

/// Bytes of an element that its fields may lie in.
pub const ELEMENT_BYTES: usize = 256;

impl Recipe {
    /// Nothing but the argument, sized by the command's number.
    pub const PLAIN: Self = Self {
        reads: 0,
        writes: 0,
        new_fd: NO_FD,
        when: 0,
        sized: 0,
        only: Condition::ALWAYS,
        elements: Elements {
            place: Place::Argument as u8,
            when: 0,
            pointer_bytes: 8,
            pad: 0,
            pointer_at: 0,
            bytes: 0,
            count: Field::known(1),
            condition: Condition::ALWAYS,
        },
        buffers: [Buffer {
            when: 0,
            pointer_bytes: 8,
            pointer_at: 0,
            length: Field::known(0),
            unit: Field::known(1),
            segments: Field::known(0),
            condition: Condition::ALWAYS,
        }; BUFFERS],
    };

    /// With an argument of this size, of which the kernel reads and writes so many bytes.
    #[must_use]
    pub const fn sized(mut self, reads: u16, writes: u16) -> Self {
        (self.reads, self.writes, self.sized) = (reads, writes, 1);
        self
    }

    /// Only where this holds of the argument.
    #[must_use]
    pub const fn only(mut self, condition: Condition) -> Self {
        self.only = condition;
        self
    }

    /// The driver puts a descriptor here.
    #[must_use]
    pub const fn new_fd(mut self, at: u16) -> Self {
        self.new_fd = at;
        self
    }

    /// The one element is the argument itself, of this size.
    #[must_use]
    pub const fn argument(mut self, bytes: u16) -> Self {
        (self.elements.place, self.elements.bytes) = (Place::Argument as u8, bytes);
        self
    }

    /// The argument is an array of elements of this size.
    #[must_use]
    pub const fn array(mut self, bytes: u16) -> Self {
        (self.elements.place, self.elements.bytes) = (Place::Array as u8, bytes);
        self
    }

    /// The argument points to `count` elements of this size, by a pointer of `pointer_bytes` at `pointer_at`.
    #[must_use]
    pub const fn pointer(
        mut self,
        when: u8,
        (pointer_at, pointer_bytes): (u16, u8),
        count: Field,
        bytes: u16,
    ) -> Self {
        self.elements = Elements {
            place: Place::Pointer as u8,
            when,
            pointer_bytes,
            pad: 0,
            pointer_at,
            bytes,
            count,
            condition: Condition::ALWAYS,
        };
        self.when |= when;
        self
    }

    /// There are `count` elements of this size in the argument, from `at` on.
    #[must_use]
    pub const fn behind(mut self, when: u8, at: u16, count: Field, bytes: u16) -> Self {
        self = self.pointer(when, (at, 0), count, bytes);
        self.elements.place = Place::Behind as u8;
        self
    }

    /// There are elements only where this holds of the argument.
    #[must_use]
    pub const fn elements_if(mut self, condition: Condition) -> Self {
        self.elements.condition = condition;
        self
    }

    /// The buffer at this place of [`Self::buffers`]: each element points to `length` bytes.
    #[must_use]
    pub const fn buffer(
        mut self,
        index: usize,
        when: u8,
        (pointer_at, pointer_bytes): (u16, u8),
        length: Field,
        condition: Condition,
    ) -> Self {
        let (unit, segments) = (Field::known(1), Field::known(0));
        self.buffers[index] = Buffer { when, pointer_bytes, pointer_at, length, unit, segments, condition };
        self.when |= when & (ENTRY | EXIT);
        self
    }

    /// The length of this buffer counts in such units.
    #[must_use]
    pub const fn unit(mut self, index: usize, unit: Field) -> Self {
        self.buffers[index].unit = unit;
        self
    }

    /// This buffer is an array of so many segments, unless that is 0.
    #[must_use]
    pub const fn segments(mut self, index: usize, count: Field) -> Self {
        self.buffers[index].segments = count;
        self
    }
}

/// [`PieceHeader::part`]: the element itself.
pub const ELEMENT: u8 = 0xff;

/// In front of the bytes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PieceHeader {
    /// Which element.
    pub element: u16,
    /// Which of its buffers, or [`ELEMENT`].
    pub part: u8,
    /// Padding, zero.
    pub pad: u8,
    /// Bytes that follow.
    pub captured: u32,
    /// Bytes that there are.
    pub wanted: u64,
}

/// Size of a [`PieceHeader`].
pub const PIECE_HEADER_BYTES: usize = size_of::<PieceHeader>();

const _: () = assert!(PIECE_HEADER_BYTES == 16, "the layout is part of the wire");

impl PieceHeader {
    /// Reads a header from the front of `bytes`; `None` if they are too few.
    #[must_use]
    pub fn read_from(bytes: &[u8]) -> Option<Self> {
        let [e0, e1, part, _, c0, c1, c2, c3, wanted @ ..] = bytes.first_chunk::<PIECE_HEADER_BYTES>()?;
        Some(Self {
            element: u16::from_ne_bytes([*e0, *e1]),
            part: *part,
            pad: 0,
            captured: u32::from_ne_bytes([*c0, *c1, *c2, *c3]),
            wanted: u64::from_ne_bytes(*wanted),
        })
    }
}
