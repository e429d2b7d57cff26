package wire

import "strconv"

// What is appended is not checked: what was parsed is right, and callers with other text check it with IsToken and IsFieldValue.

// AppendRequestLine begins a request of HTTP/1.1.
func AppendRequestLine(dst, method, target []byte) []byte {
	dst = append(append(dst, method...), ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// StatusLine is what each response begins with.
const StatusLine = "HTTP/1.1 "

// AppendStatusLine begins a response of HTTP/1.1.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = append(dst, StatusLine...)
	dst = append(strconv.AppendInt(dst, int64(status), 10), ' ')
	return appendCRLF(append(dst, reason...))
}

// AppendField appends a line of a head or a trailer.
func AppendField[Name, Value string | []byte](dst []byte, name Name, value Value) []byte {
	dst = append(append(dst, name...), ": "...)
	return appendCRLF(append(dst, value...))
}

// AppendEnd appends the empty line that ends a head.
func AppendEnd(dst []byte) []byte { return appendCRLF(dst) }

func appendCRLF(dst []byte) []byte { return append(dst, "\r\n"...) }

// ChunkRoom is how many bytes to leave in front of the data of a chunk: 8 digits and CRLF.
const ChunkRoom = 10

// FrameChunk makes a chunk of the n bytes that follow the first ChunkRoom of buf, and returns it. It needs two more bytes of
// buf behind them. It returns nil for no bytes: an empty chunk would be the last one.
func FrameChunk(buf []byte, n int) []byte {
	if n == 0 {
		return nil
	}
	start, end := ChunkRoom-2, ChunkRoom+n
	copy(buf[start:], "\r\n")
	for size := uint32(n); size > 0; size >>= 4 {
		start--
		buf[start] = "0123456789abcdef"[size&0xf]
	}
	copy(buf[end:end+2], "\r\n")
	return buf[start : end+2]
}

// AppendChunkSize begins a chunk of n bytes, behind which CRLF follows.
func AppendChunkSize(dst []byte, n int) []byte {
	return appendCRLF(strconv.AppendInt(dst, int64(n), 16))
}

// AppendLastChunk ends chunked content.
func AppendLastChunk(dst []byte, trailer []Field) []byte {
	dst = append(dst, "0\r\n"...)
	for _, f := range trailer {
		dst = AppendField(dst, f.Name, f.Value)
	}
	return appendCRLF(dst)
}
