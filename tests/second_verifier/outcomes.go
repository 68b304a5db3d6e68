package main

// The outcomes that a receipt rests on (contracts.md): an array of the outcome's number and its fields.

const (
	outcomeBatchRegistered   = 301
	outcomeConsentFiled      = 401
	outcomeConsentWithdrawn  = 402
	outcomeTicketIssued      = 501
	outcomeTicketAttenuated  = 504
	outcomeAccessPermitted   = 601
	outcomeReleasesCommitted = 602
	messageRequestAccess     = 601

	endCustodian = 1
	endRequester = 2

	purposePatientRequest = 4
	rolePatientSide       = 4
)

var outcomeSizes = map[uint64]int{
	outcomeBatchRegistered: 5, outcomeConsentFiled: 8, outcomeConsentWithdrawn: 7, outcomeTicketIssued: 8,
	outcomeTicketAttenuated: 8, outcomeAccessPermitted: 14, outcomeReleasesCommitted: 6,
}

type event struct {
	index  uint64
	leaf   leaf
	number uint64
	fields []value // by the numbers of contracts.md; the outcome's own number is at 0
}

// provedEvent is an outcome of the log that is no rejection.
func provedEvent(state verifiedState, proof outcomeProof, at shape) event {
	return eventOf(checkOutcome(state, proof), proof.index, at)
}

func eventOf(shown leaf, index uint64, at shape) event {
	at.need(shown.code <= 1)
	parsed, ok := decodeCanonical(shown.data)
	at.need(ok)
	fields := at.list(parsed)
	at.need(len(fields) > 0)
	number := at.number(fields[0], countLimit)
	size, isKnown := outcomeSizes[number]
	at.need(!isKnown || len(fields) == size)
	return event{index, shown, number, fields}
}
