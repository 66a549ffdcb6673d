package specfile

// quotes follows the quoted text of an expression, byte by byte, so that a bracket within it is
// not taken for one of the expression's own.
type quotes struct {
	open    byte // the quote that has begun
	escaped bool
}

// outside reports whether c, the next byte, stands outside of quoted text.
func (q *quotes) outside(c byte) bool {
	switch {
	case q.escaped:
		q.escaped = false
	case q.open != 0:
		q.escaped = c == '\\'
		if c == q.open {
			q.open = 0
		}
	case c == '"' || c == '\'':
		q.open = c
	default:
		return true
	}
	return false
}
