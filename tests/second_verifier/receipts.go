package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
)

// The checklist receipt, and that of a history's file (receipts.md). Step 12 finds faults, and refuses nothing.

const (
	slackS      = 60
	sessionSMax = 12 * 3600
	useReceipt  = 4
)

// ground is what a receipt stands on; in continuity there is no permit.
type ground struct {
	pseudonym            []byte
	custodian, requester string
	permit               []byte
	event                *event
	fromS, untilS        uint64
	isPatients           bool
	roleClass            uint64
	residual, ticket     []byte
}

type certified struct {
	sessionKey []byte
}

// checkReceipt walks steps 2 to 11 under a verified state; it returns what the file of a history compares.
func checkReceipt(state verifiedState, opened openedReceipt) ground {
	seen := viewOf(state, opened)                             // 2
	on := standOn(state, opened, seen)                        // 3
	session := askedBy(opened, seen, on)                      // 4, 5
	checkTransaction(state, opened, on, session)              // 6
	rows := checkRows(state, opened, seen, on)                // 7
	anchoredS := checkAnchors(state, opened, on)              // 8
	checkSignatures(state, opened, seen, on, rows, anchoredS) // 9
	checkChoices(state, opened, seen, on)                     // 10
	checkRecords(state, opened, seen, on)                     // 11
	return on
}

func standOn(state verifiedState, opened openedReceipt, seen view) ground {
	at := shape{"receipt", 3}
	if len(opened.permitted) == 0 {
		return standOnContinuity(state, opened, seen, at)
	}
	given := provedEvent(state, opened.permitted[0], at)
	at.need(given.number == outcomeAccessPermitted && given.leaf.code == 0)
	place := binary.BigEndian.AppendUint32(nil, uint32(given.leaf.index))
	permit := tagged("salus/permit/1", given.leaf.transaction, place)[:16]
	at.need(bytes.Equal(permit, opened.receipt.statement.permit))
	on := ground{
		pseudonym: at.sized(given.fields[1], 16), custodian: at.text(given.fields[2]), requester: at.text(given.fields[3]),
		permit: permit, event: &given, fromS: given.leaf.timeS, untilS: at.number(given.fields[7], secondsLimit),
		roleClass: at.number(given.fields[4], 9), ticket: at.atMost(given.fields[9], 32), residual: at.sized(given.fields[13], 32),
	}
	on.isPatients = at.number(given.fields[5], 9) == purposePatientRequest && on.roleClass == rolePatientSide
	at.need(seen.standing == standingLedger && seen.asOfS == on.fromS)
	at.need(seen.choicesVersion == at.number(given.fields[10], countLimit))
	at.need(seen.networkVersion == at.number(given.fields[11], countLimit))
	at.need(seen.custodianVersion == at.number(given.fields[12], countLimit))
	at.need(seen.clockS+slackS >= on.fromS && seen.clockS <= on.untilS+slackS)
	at.need(seen.onDay >= on.fromS/dayS && seen.onDay <= (on.untilS+slackS)/dayS)
	return on
}

func standOnContinuity(state verifiedState, opened openedReceipt, seen view, at shape) ground {
	at.need(seen.standing == standingContinuity && seen.delivery == deliveryTLS)
	at.need(bytes.Equal(tagged("salus/continuity/1", seen.request)[:16], opened.receipt.statement.permit))
	at.need(len(opened.anchors) > 0)
	given := provedEvent(state, opened.anchors[0].outcome, at)
	at.need(given.number == outcomeReleasesCommitted && len(at.atMost(given.fields[2], 16)) == 0)
	at.need(seen.clockS+slackS >= seen.asOfS && seen.clockS <= given.leaf.timeS+slackS)
	on := ground{pseudonym: at.sized(given.fields[1], 16), permit: []byte{}, fromS: seen.asOfS}
	key := rowKey("patients.relationships", on.pseudonym)
	for _, each := range opened.rows {
		if bytes.Equal(each.key, key) {
			checkRow(state, each)
			at.need(len(each.row) > 0)
			on.custodian = relationshipCustodian(each.row)
			on.requester = on.custodian
			return on
		}
	}
	refuse("receipt", 3)
	return on
}

func askedBy(opened openedReceipt, seen view, on ground) certified {
	at, who := shape{"receipt", 4}, shape{"receipt", 5}
	if on.event == nil {
		at.needOpen(opened.request, seen.who)
		at.need(len(opened.request) == 1)
		checkCertificate(who, opened.request[0].value, on.custodian)
		return certified{}
	}
	at.needOpen(opened.request, on.residual)
	at.need(len(opened.request) == 5 && opened.request[0].size == 5)
	parts := make([]value, 5)
	for place, each := range opened.request {
		ok := false
		parts[place], ok = decodeCanonical(each.value)
		at.need(ok)
	}
	at.need(bytes.Equal(at.sized(parts[0], 16), seen.request))
	list := at.fields(parts[2], 2)
	secret := at.bytes(list[0])
	var values [][]byte
	for _, each := range at.list(list[1]) {
		values = append(values, at.bytes(each))
	}
	signedSession := at.fields(parts[3], 2)
	session := at.fields(signedSession[0], 4)
	at.text(parts[4])
	key := seen.who
	if on.isPatients {
		who.need(len(values) == 0)
	} else {
		who.need(len(values) == 1)
		classes := map[uint64]bool{}
		key, classes = checkCertificate(who, values[0], "")
		who.need(bytes.Equal(committedRoot(secret, values), seen.who))
		checkCertificate(who, values[0], on.requester)
		who.need(classes[on.roleClass])
	}
	message := append(tag("salus/session/1"), encode(nil, signedSession[0])...)
	who.need(isSigned(key, message, at.sized(signedSession[1], 64)))
	fromS, untilS := at.number(session[2], secondsLimit), at.number(session[3], secondsLimit)
	who.need(at.text(session[1]) == on.custodian)
	who.need(untilS <= fromS+sessionSMax)
	who.need(fromS <= on.untilS+slackS && on.fromS < untilS+slackS)
	return certified{at.sized(session[0], 32)}
}

// checkCertificate reads [organisation, name, role, registration, role classes, key]; of an organisation if one is named.
func checkCertificate(at shape, data []byte, organisation string) ([]byte, map[uint64]bool) {
	parsed, ok := decodeCanonical(data)
	at.need(ok)
	fields := at.fields(parsed, 6)
	for _, each := range fields[:4] {
		at.text(each)
	}
	at.need(organisation == "" || at.text(fields[0]) == organisation)
	classes := map[uint64]bool{}
	for _, each := range at.list(fields[4]) {
		classes[at.number(each, 256)] = true
	}
	return at.sized(fields[5], 32), classes
}

func isSigned(key, message, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature)
}

func checkTransaction(state verifiedState, opened openedReceipt, on ground, session certified) {
	at := shape{"receipt", 6}
	if len(opened.transaction) == 0 {
		return
	}
	at.need(on.event != nil)
	parsed, ok := decodeCanonical(opened.transaction)
	at.need(ok)
	envelope := at.fields(parsed, 2)
	body := at.bytes(envelope[0])
	content, ok := decodeCanonical(body)
	at.need(ok)
	fields := at.fields(content, 6)
	at.need(at.number(fields[0], countLimit) == 1 && at.text(fields[1]) == state.chain)
	signers, signatures, messages := at.digests(fields[2], 16), at.list(envelope[1]), at.list(fields[5])
	at.number(fields[3], secondsLimit)
	at.sized(fields[4], 16)
	at.need(len(signers) >= 1 && len(signatures) == len(signers))
	once := map[string]bool{}
	signed := append(tag("salus/transaction/1"), body...)
	for place, each := range signers {
		once[string(each)] = true
		at.need(isSigned(each, signed, at.sized(signatures[place], 64)))
	}
	at.need(len(once) == len(signers) && bytes.Equal(hash(body), on.event.leaf.transaction))
	at.need(on.event.leaf.index < uint64(len(messages)))
	message := at.list(messages[on.event.leaf.index])
	at.need(len(message) == 12 && at.number(message[0], countLimit) == messageRequestAccess)
	place := at.number(message[8], 16)
	at.need(place < uint64(len(signers)) && bytes.Equal(signers[place], session.sessionKey))
}

func rowKey(table string, key value) []byte { return encode(append([]byte(table), 0), key) }

func checkRows(state verifiedState, opened openedReceipt, seen view, on ground) map[string][]byte {
	at := shape{"receipt", 7}
	var expected [][]byte
	for _, each := range [][]byte{
		rowKey("patients.relationships", on.pseudonym),
		rowKey("membership.organisations", on.custodian),
		rowKey("membership.organisations", on.requester),
		rowKey("membership.keys", []value{on.custodian, integer{value: useReceipt}}),
		rowKey("membership.keys", []value{on.requester, integer{value: useReceipt}}),
		rowKey("membership.policies", ""),
		rowKey("membership.policies", on.custodian),
		rowKey("membership.certificates", []value{on.requester, seen.who}),
	} {
		if !containsDigest(expected, each) {
			expected = append(expected, each)
		}
	}
	at.need(len(opened.rows) == len(expected))
	for place, each := range opened.rows {
		at.need(bytes.Equal(each.key, expected[place]))
	}
	rows := map[string][]byte{}
	for _, each := range opened.rows {
		checkRow(state, each)
		rows[string(each.key)] = each.row
	}
	at.need(len(opened.rows[0].row) > 0 && relationshipCustodian(opened.rows[0].row) == on.custodian)
	return rows
}

func relationshipCustodian(row []byte) string {
	at := shape{"receipt", 7}
	parsed, ok := decodeCanonical(row)
	at.need(ok)
	return at.text(at.fields(parsed, 6)[0])
}

// checkAnchors returns when each end anchored.
func checkAnchors(state verifiedState, opened openedReceipt, on ground) map[uint64]uint64 {
	at := shape{"receipt", 8}
	anchoredS := map[uint64]uint64{}
	var ends []uint64
	for _, each := range opened.anchors {
		given := provedEvent(state, each.outcome, at)
		at.need(given.number == outcomeReleasesCommitted)
		at.need(bytes.Equal(at.sized(given.fields[1], 16), on.pseudonym))
		at.need(bytes.Equal(at.bytes(given.fields[2]), on.permit))
		at.need(on.event == nil || given.index > on.event.index)
		at.need(bytes.Equal(rootOf(each.leaves), at.sized(given.fields[4], 32)))
		anchored := leafHash(encode(nil, []value{opened.receipt.encoded, integer{value: each.conclusion}}))
		at.need(containsDigest(each.leaves, anchored))
		end := at.number(given.fields[3], 3)
		at.need((end == endCustodian && each.conclusion <= 2) || (end == endRequester && each.conclusion >= 3))
		ends = append(ends, end)
		anchoredS[end] = given.leaf.timeS
	}
	at.need(len(ends) < 2 || ends[0] < ends[1])
	return anchoredS
}

func checkSignatures(
	state verifiedState, opened openedReceipt, seen view, on ground, rows map[string][]byte, anchoredS map[uint64]uint64,
) {
	at := shape{"receipt", 9}
	one := opened.receipt
	lastS := uint64(state.time.seconds)
	if len(anchoredS) > 0 {
		lastS = max(anchoredS[endCustodian], anchoredS[endRequester])
	}
	untilS := func(end uint64) uint64 {
		if anchored, is := anchoredS[end]; is {
			return anchored
		}
		return lastS
	}
	message := append(tag("salus/receipt/custodian/1"), one.signed...)
	at.need(signedByMember(rows, on.custodian, message, one.custodian, on.fromS, untilS(endCustodian)))
	if len(one.requester) == 0 {
		at.need(on.requester == on.custodian || seen.delivery == deliveryTLS)
		return
	}
	message = append(tag("salus/receipt/requester/1"), one.signed...)
	at.need(signedByMember(rows, on.requester, message, one.requester, on.fromS, untilS(endRequester)))
}

// signedByMember says whether a receipt key signed that the member had at some second of a time.
func signedByMember(rows map[string][]byte, member string, message, signature []byte, fromS, untilS uint64) bool {
	at := shape{"receipt", 7}
	row := rows[string(rowKey("membership.keys", []value{member, integer{value: useReceipt}}))]
	if len(row) == 0 {
		return false
	}
	parsed, ok := decodeCanonical(row)
	at.need(ok)
	fields := at.fields(parsed, 2)
	sinceS := uint64(0)
	for _, each := range at.list(fields[1]) {
		retired := at.fields(each, 2)
		endS := at.number(retired[1], secondsLimit)
		if sinceS <= untilS && fromS < endS && isSigned(at.bytes(retired[0]), message, signature) {
			return true
		}
		sinceS = endS
	}
	return sinceS <= untilS && isSigned(at.bytes(fields[0]), message, signature)
}

func checkChoices(state verifiedState, opened openedReceipt, seen view, on ground) {
	at := shape{"receipt", 10}
	at.need(uint64(len(opened.choices)) == seen.choicesVersion+uint64(len(seen.tickets)))
	var events []event
	for _, each := range opened.choices {
		events = append(events, provedEvent(state, each, at))
	}
	type choice struct{ id, commitment []byte }
	var inForce []choice
	for place, each := range events[:seen.choicesVersion] {
		isFiled := each.number == outcomeConsentFiled
		at.need(isFiled || each.number == outcomeConsentWithdrawn)
		at.need(bytes.Equal(at.sized(each.fields[1], 16), on.pseudonym))
		at.need(at.number(each.fields[3], countLimit) == uint64(place+1))
		id := at.sized(each.fields[2], 16)
		var kept []choice
		for _, other := range inForce {
			if !bytes.Equal(other.id, id) {
				kept = append(kept, other)
			}
		}
		if inForce = kept; isFiled {
			inForce = append(inForce, choice{id, at.sized(each.fields[5], 32)})
		}
	}
	var commitments [][]byte
	for _, each := range inForce {
		commitments = append(commitments, each.commitment)
	}
	at.need(sameDigests(commitments, seen.choices))
	checkTickets(at, events[seen.choicesVersion:], seen, on)
	both := append(commitments, seen.tickets...)
	for _, each := range seen.missing {
		at.need(containsDigest(both, each))
	}
	var shown [][]byte
	for _, each := range both {
		if !containsDigest(seen.missing, each) {
			shown = append(shown, each)
		}
	}
	at.need(len(opened.rules) == len(shown))
	for place, each := range opened.rules {
		at.need(each.size == 1 && each.opens(shown[place]))
	}
}

// checkTickets follows a permit's ticket back to the one that was issued.
func checkTickets(at shape, events []event, seen view, on ground) {
	wanted := on.ticket
	for place, each := range events {
		at.need(on.event != nil && each.index < on.event.index && len(wanted) > 0)
		at.need(bytes.Equal(at.sized(each.fields[1], 16), on.pseudonym))
		at.need(bytes.Equal(at.sized(each.fields[7], 32), seen.tickets[place]))
		switch each.number {
		case outcomeTicketIssued:
			at.need(bytes.Equal(at.bytes(each.fields[2]), wanted))
			wanted = nil
		case outcomeTicketAttenuated:
			at.need(bytes.Equal(at.bytes(each.fields[3]), wanted))
			wanted = at.bytes(each.fields[2])
		default:
			at.need(false)
		}
	}
	at.need(len(events) == 0 || len(wanted) == 0)
}

func checkRecords(state verifiedState, opened openedReceipt, seen view, on ground) {
	at := shape{"receipt", 11}
	type batch struct {
		root []byte
		size uint64
	}
	var batches []batch
	for _, each := range opened.batches {
		given := provedEvent(state, each, at)
		at.need(given.number == outcomeBatchRegistered && given.leaf.timeS <= on.fromS)
		at.need(bytes.Equal(at.sized(given.fields[1], 16), on.pseudonym) && at.text(given.fields[2]) == on.custodian)
		batches = append(batches, batch{at.sized(given.fields[3], 32), at.number(given.fields[4], countLimit)})
	}
	next, mentioned := 0, 0
	for _, each := range opened.records {
		for next < len(seen.records) && !bytes.Equal(seen.records[next].entry, each.entryHash) {
			next++
		}
		at.need(next < len(seen.records))
		named := seen.records[next]
		next++
		at.need(!named.isReleased || (bytes.Equal(named.batchRoot, each.batchRoot) && bytes.Equal(named.sealedRoot, each.sealedRoot)))
		place := 0
		for place < len(batches) && !bytes.Equal(batches[place].root, each.batchRoot) {
			place++
		}
		at.need(place < len(batches) && place <= mentioned && batches[place].size == each.batchSize)
		if place == mentioned {
			mentioned++
		}
		root := pathRoot(each.entryHash, each.index, each.batchSize, each.path)
		at.need(root != nil && bytes.Equal(root, each.batchRoot))
		at.needOpen(each.metadata, each.metadataRoot)
		at.need(len(each.metadata) == 5 || len(each.metadata) == 6)
		for number, field := range each.metadata {
			at.need(field.index == uint64(number) && field.size == 6)
		}
	}
	at.need(mentioned == len(batches))
}

func containsDigest(list [][]byte, one []byte) bool {
	for _, each := range list {
		if bytes.Equal(each, one) {
			return true
		}
	}
	return false
}

func sameDigests(one, other [][]byte) bool {
	if len(one) != len(other) {
		return false
	}
	for place := range one {
		if !bytes.Equal(one[place], other[place]) {
			return false
		}
	}
	return true
}

// checkHistoryBundle is the checklist bundle of a history's file.
func checkHistoryBundle(trusted trust, items []value, nowS int64) {
	signed, proof := parseSignedState(items[2]), parseHistory(items[3])
	var receipts []openedReceipt
	for _, each := range inBundle.list(items[4]) {
		receipts = append(receipts, parseOpened(each))
	}
	notes := parseNotes(items[5])
	state := checkState(trusted, signed, nowS) // 1
	leaves := checkHistory(state, proof)       // 2
	var events []event
	for place, each := range leaves { // 3
		at := shape{"bundle", 3}
		one := eventOf(each, uint64(place), at)
		at.need(len(one.fields) > 1 && bytes.Equal(at.sized(one.fields[1], 16), proof.pseudonym))
		events = append(events, one)
	}
	parts := map[string]bool{} // 4
	for _, each := range receipts {
		on := checkReceipt(state, each)
		need("bundle", 4, bytes.Equal(on.pseudonym, proof.pseudonym))
		stated := each.receipt.statement
		parts[string(binary.BigEndian.AppendUint64(bytes.Clone(stated.permit), stated.part))] = true
	}
	need("bundle", 4, len(parts) == len(receipts))
	checkNotes(events, notes) // 5
}

type note struct {
	secret []byte
	values [][]byte
}

func parseNotes(item value) []note {
	var notes []note
	for _, each := range inBundle.list(item) {
		parts := inBundle.fields(each, 2)
		one := note{secret: inBundle.bytes(parts[0])}
		for _, value := range inBundle.list(parts[1]) {
			one.values = append(one.values, inBundle.bytes(value))
		}
		notes = append(notes, one)
	}
	return notes
}

func checkNotes(events []event, notes []note) {
	at := shape{"bundle", 5}
	var roots [][]byte
	for _, each := range events {
		if each.number == outcomeReleasesCommitted && len(at.bytes(each.fields[2])) == 0 {
			roots = append(roots, at.sized(each.fields[4], 32))
		}
	}
	once := map[string]bool{}
	for _, each := range notes {
		at.need(len(each.values) == 4)
		root := committedRoot(each.secret, each.values)
		at.need(containsDigest(roots, root) && !once[string(root)])
		once[string(root)] = true
	}
}
