package registry

// Row is a row of the table of diagnoses.
type Row struct {
	Seen, Hint string
	Fits       func(error) bool
}

// Rows are those of the table, in their order.
func Rows() []Row {
	var rows []Row
	for _, d := range diagnoses {
		rows = append(rows, Row{Seen: d.seen, Hint: d.hint, Fits: func(err error) bool { return d.fits(takeApart(err)) }})
	}
	return rows
}
