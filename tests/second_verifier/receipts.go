package main

type openedReceipt struct{}

func parseOpened(item value) openedReceipt {
	inBundle.need(false)
	return openedReceipt{}
}

func checkReceipt(state verifiedState, opened openedReceipt) {}

func checkHistoryBundle(trusted trust, items []value, nowS int64) {
	signed, proof := parseSignedState(items[2]), parseHistory(items[3])
	receipts, lists := inBundle.list(items[4]), inBundle.list(items[5])
	inBundle.need(len(receipts) == 0 && len(lists) == 0)
	checkHistory(checkState(trusted, signed, nowS), proof)
}
