package codec

import "testing"

func TestReplyAppend(t *testing.T) {
	for _, tc := range []struct {
		reply Reply
		arg   string
		want  string
	}{
		{Reply{Code: 220, Lines: []string{"mx1.example.net ESMTP"}}, "", "220 mx1.example.net ESMTP\r\n"},
		{Reply{Code: 250, Enhanced: EnhancedCode{2, 0, 0}, Lines: []string{"Ok"}}, "id-1", "250 2.0.0 Ok id-1\r\n"},
		{Reply{Code: 250, Lines: []string{"a", "b", "c"}}, "", "250-a\r\n250-b\r\n250 c\r\n"},
		{Reply{Code: 550, Enhanced: EnhancedCode{5, 7, 1}, Lines: []string{"no", "relay"}}, "here", "550-5.7.1 no\r\n550 5.7.1 relay here\r\n"},
		{Reply{Code: 451, Enhanced: EnhancedCode{4, 10, 255}, Lines: []string{"x"}}, "", "451 4.10.255 x\r\n"},
		{Reply{Code: 451, Enhanced: EnhancedCode{4, 100, 205}, Lines: []string{"x"}}, "", "451 4.100.205 x\r\n"},
	} {
		if got := tc.reply.Append([]byte("before "), []byte(tc.arg)); string(got) != "before "+tc.want {
			t.Errorf("%+v: %q, want %q", tc.reply, got, tc.want)
		}
	}
}

func TestReplyAppendAllocs(t *testing.T) {
	reply := Reply{Code: 250, Enhanced: EnhancedCode{2, 0, 0}, Lines: []string{"a", "b"}}
	dst, arg := make([]byte, 0, 128), []byte("id")
	if n := testing.AllocsPerRun(100, func() { dst = reply.Append(dst[:0], arg) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
