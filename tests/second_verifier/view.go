package main

// The fields of a receipt in the patient's view (receipts.md, step 2).

type namedRecord struct {
	entry, batchRoot, sealedRoot []byte
	isReleased                   bool
}

type view struct {
	request                           []byte
	partCount                         uint64
	who                               []byte
	choicesVersion                    uint64
	networkVersion, custodianVersion  uint64
	choices                           [][]byte
	asOfS                             uint64
	inScope, released, withheld       uint64
	standing, delivery, clockS, onDay uint64
	records                           []namedRecord // released first
	missing, tickets                  [][]byte
}

const (
	standingLedger     = 1
	standingContinuity = 2
	deliveryTLS        = 2
	dayS               = 86400
)

var fieldSizes = map[uint64]int{1: 3, 2: 3, 3: 5, 4: 5, 5: 6, 6: 2, 7: 5, 8: 5, 9: 1, 10: 3}

func viewOf(state verifiedState, opened openedReceipt) view {
	at := shape{"receipt", 2}
	stated := opened.receipt.statement
	at.need(stated.format == integer{value: 1} && stated.chain == state.chain)
	at.needOpen(opened.fields, stated.root)
	var seen view
	counts := map[uint64]uint64{}
	var withheld []namedRecord
	for _, each := range opened.fields {
		parsed, ok := decodeCanonical(each.value)
		at.need(ok)
		items := at.list(parsed)
		at.need(len(items) > 0)
		kind := at.number(items[0], 256)
		at.need(len(items) == fieldSizes[kind])
		counts[kind]++
		if kind == 8 {
			at.number(items[2], 5)
			at.bytes(items[3])
			at.text(items[4])
			withheld = append(withheld, namedRecord{entry: at.sized(items[1], 32)})
		}
		seen.take(at, kind, items)
	}
	at.need(uint64(len(seen.records)) == counts[7])
	seen.records = append(seen.records, withheld...)
	for kind := uint64(1); kind <= 6; kind++ {
		at.need(counts[kind] == 1)
	}
	at.need(counts[9] == 0 && counts[10] <= 1)
	at.need(seen.released == counts[7] && seen.withheld == counts[8] && seen.inScope == counts[7]+counts[8])
	entries := map[string]bool{}
	for _, each := range seen.records {
		entries[string(each.entry)] = true
	}
	at.need(len(entries) == len(seen.records) && stated.part <= seen.partCount)
	return seen
}

// take reads one field of kinds 1 to 7 and 10.
func (v *view) take(at shape, kind uint64, items []value) {
	switch kind {
	case 1:
		v.request, v.partCount = at.sized(items[1], 16), at.number(items[2], countLimit)
	case 2:
		at.need(at.number(items[1], 5) >= 1)
		v.who = at.bytes(items[2])
	case 3:
		v.choicesVersion, v.choices = at.number(items[1], countLimit), digestsIn(at, items[2])
		v.networkVersion, v.custodianVersion = at.number(items[3], countLimit), at.number(items[4], countLimit)
	case 4:
		v.asOfS, v.inScope = at.number(items[1], secondsLimit), at.number(items[2], countLimit)
		v.released, v.withheld = at.number(items[3], countLimit), at.number(items[4], countLimit)
	case 5:
		v.standing, v.delivery = at.number(items[1], 3), at.number(items[2], 3)
		at.number(items[3], 3)
		v.clockS, v.onDay = at.number(items[4], secondsLimit), at.number(items[5], countLimit)
	case 6:
		at.sized(items[1], 32)
	case 7:
		at.number(items[4], countLimit)
		one := namedRecord{at.sized(items[1], 32), at.sized(items[2], 32), at.atMost(items[3], 32), true}
		v.records = append(v.records, one)
	case 10:
		v.missing, v.tickets = digestsIn(at, items[1]), digestsIn(at, items[2])
	}
}
