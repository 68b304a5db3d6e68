package main

import (
	"encoding/binary"
	"unicode/utf8"
)

// Protobuf as header.md has it: fields ascend, zeros are left out, varints are the shortest. Everything is parsed into
// values first and encoded again, so only the one form is accepted.
const (
	kindVarint = 0
	kindBytes  = 2
)

type field struct {
	number int
	kind   int
	value  uint64
	bytes  []byte
}

// message is the fields of a message; ok is false after anything that was not expected.
type message struct {
	fields []field
	ok     bool
}

func parseMessage(data []byte) message {
	parsed := message{ok: true}
	for len(data) > 0 {
		tag, size := binary.Uvarint(data)
		if size <= 0 {
			return message{}
		}
		data = data[size:]
		one := field{number: int(tag >> 3), kind: int(tag & 7)}
		number, size := binary.Uvarint(data)
		if size <= 0 || (one.kind != kindVarint && one.kind != kindBytes) {
			return message{}
		}
		data = data[size:]
		one.value = number
		if one.kind == kindBytes {
			if number > uint64(len(data)) {
				return message{}
			}
			one.bytes, data = data[:number:number], data[number:]
		}
		parsed.fields = append(parsed.fields, one)
	}
	return parsed
}

// one returns the only field of a number; an absent one is zero.
func (m *message) one(number, kind int) field {
	found := field{}
	count := 0
	for _, each := range m.fields {
		if each.number == number {
			found = each
			count++
		}
	}
	if count > 1 || (count == 1 && found.kind != kind) {
		m.ok = false
	}
	return found
}

func (m *message) integer(number int) int64 { return int64(m.one(number, kindVarint).value) }

func (m *message) blob(number int) []byte { return m.one(number, kindBytes).bytes }

func (m *message) text(number int) string {
	data := m.blob(number)
	if !utf8.Valid(data) {
		m.ok = false
	}
	return string(data)
}

// only says that no other fields are there.
func (m *message) only(numbers int) {
	for _, each := range m.fields {
		if each.number < 1 || each.number > numbers {
			m.ok = false
		}
	}
}

func putInteger(out []byte, number int, value int64) []byte {
	if value == 0 {
		return out
	}
	out = binary.AppendUvarint(out, uint64(number)<<3|kindVarint)
	return binary.AppendUvarint(out, uint64(value))
}

func putMessage(out []byte, number int, encoded []byte) []byte {
	out = binary.AppendUvarint(out, uint64(number)<<3|kindBytes)
	out = binary.AppendUvarint(out, uint64(len(encoded)))
	return append(out, encoded...)
}

func putBytes(out []byte, number int, data []byte) []byte {
	if len(data) == 0 {
		return out
	}
	return putMessage(out, number, data)
}

func putFixed64(out []byte, number int, value int64) []byte {
	if value == 0 {
		return out
	}
	out = binary.AppendUvarint(out, uint64(number)<<3|1)
	return binary.LittleEndian.AppendUint64(out, uint64(value))
}
