package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"unicode/utf8"
)

// What a receipt's file holds, and its fields (receipts.md).

type openedField struct {
	value, salt []byte
	index, size uint64
	path        [][]byte
	isOpen      bool // what it is made of is within bounds
}

type statement struct {
	format integer
	chain  string
	permit []byte
	part   uint64
	root   []byte
}

type receipt struct {
	statement            statement
	custodian, requester []byte // signatures; the requester's may be empty
	signed               []byte // the statement's encoding
	encoded              value
}

type anchor struct {
	outcome    outcomeProof
	conclusion uint64
	leaves     [][]byte
}

type openedRecord struct {
	entryHash, metadataRoot, sealedRoot []byte
	batchRoot                           []byte
	batchSize, index                    uint64
	path                                [][]byte
	metadata                            []openedField
}

type openedReceipt struct {
	receipt     receipt
	fields      []openedField
	permitted   []outcomeProof
	transaction []byte
	request     []openedField
	anchors     []anchor
	choices     []outcomeProof
	rules       []openedField
	rows        []rowProof
	batches     []outcomeProof
	records     []openedRecord
}

func parseOpened(item value) openedReceipt {
	fields := inBundle.fields(item, 11)
	opened := openedReceipt{
		receipt:     parseReceipt(fields[0]),
		fields:      parseOpenedFields(fields[1]),
		permitted:   parseOutcomes(fields[2]),
		transaction: inBundle.atMost(fields[3], 65536),
		request:     parseOpenedFields(fields[4]),
		choices:     parseOutcomes(fields[6]),
		rules:       parseOpenedFields(fields[7]),
		batches:     parseOutcomes(fields[9]),
	}
	inBundle.need(len(opened.permitted) <= 1)
	for _, each := range inBundle.list(fields[5]) {
		parts := inBundle.fields(each, 3)
		conclusion := inBundle.number(parts[1], 5)
		inBundle.need(conclusion >= 1)
		one := anchor{parseOutcome(parts[0]), conclusion, inBundle.digests(parts[2], -1)}
		opened.anchors = append(opened.anchors, one)
	}
	inBundle.need(len(opened.anchors) <= 2)
	for _, each := range inBundle.list(fields[8]) {
		opened.rows = append(opened.rows, parseRow(each))
	}
	for _, each := range inBundle.list(fields[10]) {
		opened.records = append(opened.records, parseRecord(each))
	}
	return opened
}

func parseReceipt(item value) receipt {
	fields := inBundle.fields(item, 3)
	stated := inBundle.fields(fields[0], 5)
	format, isNumber := stated[0].(integer)
	inBundle.need(isNumber)
	one := receipt{
		statement: statement{
			format: format,
			chain:  inBundle.text(stated[1]),
			permit: inBundle.sized(stated[2], 16),
			part:   inBundle.number(stated[3], 1<<32),
			root:   inBundle.sized(stated[4], 32),
		},
		custodian: inBundle.sized(fields[1], 64),
		requester: inBundle.atMost(fields[2], 64),
		signed:    encode(nil, fields[0]),
		encoded:   item,
	}
	chainSize := utf8.RuneCountInString(one.statement.chain)
	inBundle.need(one.statement.part >= 1 && chainSize >= 1 && chainSize <= 50)
	return one
}

func parseOutcomes(item value) []outcomeProof {
	var proofs []outcomeProof
	for _, each := range inBundle.list(item) {
		proofs = append(proofs, parseOutcome(each))
	}
	return proofs
}

func parseOpenedFields(item value) []openedField {
	var parsed []openedField
	for _, each := range inBundle.list(item) {
		parts := inBundle.fields(each, 5)
		index, isIndex := parts[2].(integer)
		size, isSize := parts[3].(integer)
		inBundle.need(isIndex && isSize)
		one := openedField{value: inBundle.bytes(parts[0]), salt: inBundle.bytes(parts[1]), index: index.value, size: size.value}
		one.isOpen = len(one.salt) == 32 && !index.negative && !size.negative && size.value <= 1<<32
		for _, each := range inBundle.list(parts[4]) {
			one.path = append(one.path, inBundle.bytes(each))
			one.isOpen = one.isOpen && len(inBundle.bytes(each)) == 32
		}
		parsed = append(parsed, one)
	}
	return parsed
}

func parseRecord(item value) openedRecord {
	parts := inBundle.fields(item, 2)
	placed := inBundle.fields(parts[0], 5)
	entry := inBundle.fields(placed[0], 6)
	inBundle.sized(entry[0], 16)
	inBundle.need(inBundle.number(entry[1], 1<<32) >= 1)
	inBundle.sized(entry[3], 32)
	inBundle.atMost(entry[5], 32)
	return openedRecord{
		entryHash:    leafHash(encode(nil, placed[0])),
		metadataRoot: inBundle.sized(entry[2], 32),
		sealedRoot:   inBundle.atMost(entry[4], 32),
		batchRoot:    inBundle.sized(placed[1], 32),
		batchSize:    inBundle.number(placed[2], countLimit),
		index:        inBundle.number(placed[3], countLimit),
		path:         inBundle.digests(placed[4], -1),
		metadata:     parseOpenedFields(parts[1]),
	}
}

// opens says whether a field is one of those under a root.
func (f openedField) opens(root []byte) bool {
	if !f.isOpen {
		return false
	}
	mac := hmac.New(sha256.New, f.salt)
	mac.Write(f.value)
	reached := pathRoot(leafHash(mac.Sum(nil)), f.index, f.size, f.path)
	return reached != nil && bytes.Equal(fieldsRoot(f.size, reached), root)
}

func fieldsRoot(size uint64, root []byte) []byte {
	return tagged("salus/fields/1", binary.BigEndian.AppendUint64(nil, size), root)
}

// needOpen checks opened fields of one list: each once, ascending, under the root.
func (s shape) needOpen(fields []openedField, root []byte) {
	for place, each := range fields {
		s.need(place == 0 || fields[place-1].index < each.index)
	}
	for _, each := range fields {
		s.need(each.opens(root))
	}
}

// committedRoot is the root of a whole list, from its secret.
func committedRoot(secret []byte, values [][]byte) []byte {
	leaves := make([][]byte, len(values))
	for place, each := range values {
		info := binary.BigEndian.AppendUint32([]byte("salus/field-salt/1"), uint32(place))
		salt, err := hkdf.Key(sha256.New, secret, nil, string(info), 32)
		if err != nil {
			return nil
		}
		mac := hmac.New(sha256.New, salt)
		mac.Write(each)
		leaves[place] = mac.Sum(nil)
	}
	return fieldsRoot(uint64(len(values)), merkleRoot(leaves))
}

// tag is sealing.md's: a byte with the length of a name, then the name.
func tag(name string) []byte { return append([]byte{byte(len(name))}, name...) }

func digestsIn(s shape, item value) [][]byte { return s.digests(item, -1) }
