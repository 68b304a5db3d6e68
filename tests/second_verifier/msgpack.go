package main

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Values of the canonical encoding (machine.md, Encoding). An integer is a sign and a size, since 64 bits unsigned and
// negative ones both occur.
type integer struct {
	negative bool
	value    uint64 // two's complement when negative
}

type value any // integer, []byte, string, bool, []value

// decodeCanonical parses bytes that are one value in its one form; false for all other bytes.
func decodeCanonical(data []byte) (value, bool) {
	parser := reader{rest: data}
	parsed := parser.value(0)
	if parser.failed || len(parser.rest) != 0 {
		return nil, false
	}
	return parsed, bytes.Equal(encode(nil, parsed), data)
}

type reader struct {
	rest   []byte
	failed bool
}

const depthMax = 64

func (r *reader) value(depth int) value {
	first := r.take(1)
	if r.failed || depth > depthMax {
		r.failed = true
		return nil
	}
	head := first[0]
	switch {
	case head < 0x80:
		return integer{false, uint64(head)}
	case head >= 0xe0:
		return integer{true, uint64(int64(int8(head)))}
	case head >= 0xa0 && head < 0xc0:
		return r.text(int(head & 31))
	case head >= 0x90 && head < 0xa0:
		return r.list(int(head&15), depth)
	case head == 0xc2 || head == 0xc3:
		return head == 0xc3
	case head >= 0xcc && head <= 0xcf:
		return integer{false, r.number(1 << (head - 0xcc))}
	case head >= 0xd0 && head <= 0xd3:
		return r.signed(1 << (head - 0xd0))
	case head >= 0xc4 && head <= 0xc6:
		return r.take(int(r.number(1 << (head - 0xc4))))
	case head >= 0xd9 && head <= 0xdb:
		return r.text(int(r.number(1 << (head - 0xd9))))
	case head == 0xdc || head == 0xdd:
		return r.list(int(r.number(2<<(head-0xdc))), depth)
	}
	r.failed = true // nil, floats, maps, extensions
	return nil
}

func (r *reader) take(size int) []byte {
	if r.failed || size < 0 || size > len(r.rest) {
		r.failed = true
		return nil
	}
	taken := r.rest[:size:size]
	r.rest = r.rest[size:]
	return taken
}

func (r *reader) number(size int) uint64 {
	var total uint64
	for _, each := range r.take(size) {
		total = total<<8 | uint64(each)
	}
	return total
}

func (r *reader) signed(size int) value {
	shift := 64 - 8*size
	number := int64(r.number(size)<<shift) >> shift
	return integer{number < 0, uint64(number)}
}

func (r *reader) text(size int) value {
	data := r.take(size)
	if !utf8.Valid(data) {
		r.failed = true
	}
	return string(data)
}

func (r *reader) list(size int, depth int) value {
	if size > len(r.rest) {
		r.failed = true
		return nil
	}
	items := make([]value, 0, size)
	for range size {
		if items = append(items, r.value(depth+1)); r.failed {
			return nil
		}
	}
	return items
}

// encode appends the one form of a value.
func encode(out []byte, item value) []byte {
	switch it := item.(type) {
	case integer:
		return encodeInteger(out, it)
	case bool:
		if it {
			return append(out, 0xc3)
		}
		return append(out, 0xc2)
	case []byte:
		return append(encodeSize(out, len(it), 0, 0, 0xc4), it...)
	case string:
		return append(encodeSize(out, len(it), 0xa0, 32, 0xd9), it...)
	case []value:
		out = encodeArraySize(out, len(it))
		for _, each := range it {
			out = encode(out, each)
		}
		return out
	}
	panic("a value of no known kind")
}

func encodeInteger(out []byte, number integer) []byte {
	if !number.negative {
		switch {
		case number.value < 0x80:
			return append(out, byte(number.value))
		case number.value < 1<<8:
			return append(out, 0xcc, byte(number.value))
		case number.value < 1<<16:
			return binary.BigEndian.AppendUint16(append(out, 0xcd), uint16(number.value))
		case number.value < 1<<32:
			return binary.BigEndian.AppendUint32(append(out, 0xce), uint32(number.value))
		}
		return binary.BigEndian.AppendUint64(append(out, 0xcf), number.value)
	}
	signed := int64(number.value)
	switch {
	case signed >= -32:
		return append(out, byte(signed))
	case signed >= -1<<7:
		return append(out, 0xd0, byte(signed))
	case signed >= -1<<15:
		return binary.BigEndian.AppendUint16(append(out, 0xd1), uint16(signed))
	case signed >= -1<<31:
		return binary.BigEndian.AppendUint32(append(out, 0xd2), uint32(signed))
	}
	return binary.BigEndian.AppendUint64(append(out, 0xd3), number.value)
}

func encodeSize(out []byte, size int, fix byte, fixMax int, head byte) []byte {
	switch {
	case size < fixMax:
		return append(out, fix|byte(size))
	case size < 1<<8:
		return append(out, head, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, head+1), uint16(size))
	}
	return binary.BigEndian.AppendUint32(append(out, head+2), uint32(size))
}

func encodeArraySize(out []byte, size int) []byte {
	switch {
	case size < 16:
		return append(out, 0x90|byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, 0xdc), uint16(size))
	}
	return binary.BigEndian.AppendUint32(append(out, 0xdd), uint32(size))
}

// shape reads fields of a struct, and refuses a value of another type or out of bounds at its step.
type shape struct {
	checklist string
	step      int
}

var inBundle = shape{"bundle", 0}

func (s shape) need(holds bool) {
	need(s.checklist, s.step, holds)
}

func (s shape) list(item value) []value {
	items, ok := item.([]value)
	s.need(ok)
	return items
}

// fields reads a struct: an array of exactly so many elements.
func (s shape) fields(item value, count int) []value {
	items := s.list(item)
	s.need(len(items) == count)
	return items
}

func (s shape) bytes(item value) []byte {
	data, ok := item.([]byte)
	s.need(ok)
	return data
}

func (s shape) sized(item value, size int) []byte {
	data := s.bytes(item)
	s.need(len(data) == size)
	return data
}

func (s shape) atMost(item value, size int) []byte {
	data := s.bytes(item)
	s.need(len(data) <= size)
	return data
}

func (s shape) text(item value) string {
	text, ok := item.(string)
	s.need(ok)
	return text
}

// number reads an integer from 0 up to, not including, a limit.
func (s shape) number(item value, limit uint64) uint64 {
	number, ok := item.(integer)
	s.need(ok && !number.negative && number.value < limit)
	return number.value
}

func (s shape) digests(item value, countMax int) [][]byte {
	items := s.list(item)
	s.need(countMax < 0 || len(items) <= countMax)
	hashes := make([][]byte, len(items))
	for place, each := range items {
		hashes[place] = s.sized(each, 32)
	}
	return hashes
}

const (
	countLimit   = 1 << 53
	secondsLimit = 1 << 40
)
