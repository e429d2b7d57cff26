package keepalive_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/activator/keepalive"
)

const header = "id,trigger,mean_ms,mem_mb,app,counts\n"

func zipped(text string) io.Reader {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return &b
}

func TestReadTrace(t *testing.T) {
	got, err := keepalive.ReadTrace(zipped(header + "a,timer,123,4.5,x,0:1 7:20\nb,http,0,1,y,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := keepalive.Trace{
		Assumptions: keepalive.DefaultAssumptions,
		Functions: []keepalive.Function{
			{
				ID: "a", Trigger: "timer", Duration: 123 * time.Millisecond, Memory: 9 << 19,
				Minutes: []keepalive.Minute{{Minute: 0, Calls: 1}, {Minute: 7, Calls: 20}},
			},
			{ID: "b", Trigger: "http", Memory: 1 << 20},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("trace\n%+v, want\n%+v", got, want)
	}
}

func TestReadTraceRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "header",
		"id,trigger,mean_ms,counts\n":       "line 1: no column mem_mb",
		header + "a,http,1,1,x\n":           "line 2: wrong number of fields",
		header + "a,http,1,1,x,\na,b,c\n":   "line 3: wrong number of fields",
		header + "a,http,x,1,x,0:1\n":       `line 2: mean_ms: "x"`,
		header + "a,http,-1,1,x,0:1\n":      `line 2: mean_ms: "-1"`,
		header + "a,http,NaN,1,x,0:1\n":     `line 2: mean_ms: "NaN"`,
		header + "a,http,1,1e99,x,0:1\n":    `line 2: mem_mb: "1e99"`,
		header + "a,http,1,1,x,0\n":         `line 2: counts: "0" is not minute:calls`,
		header + "a,http,1,1,x,0:0\n":       `line 2: counts: "0:0" is not minute:calls`,
		header + "a,http,1,1,x,-1:1\n":      `line 2: counts: "-1:1" is not minute:calls`,
		header + "a,http,1,1,x,5:1 5:1\n":   "line 2: counts: minute 5 is not after minute 5",
		header + "a,h,1,1,x,\na,h,1,1,x,\n": `line 3: id "a" is there twice`,
	} {
		if _, err := keepalive.ReadTrace(zipped(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
	if _, err := keepalive.ReadTrace(strings.NewReader(header)); err == nil {
		t.Error("text that is not compressed is read")
	}
}

func FuzzReadTrace(f *testing.F) {
	f.Add(header + "a,timer,123,4.5,x,0:1 7:20\n")
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := keepalive.ReadTrace(zipped(text))
		if err != nil {
			return
		}
		for _, f := range trace.Functions {
			if f.Memory < 0 || f.Duration < 0 {
				t.Errorf("negative: %+v", f)
			}
			for i, m := range f.Minutes {
				if m.Calls < 1 || m.Minute < 0 || i > 0 && m.Minute <= f.Minutes[i-1].Minute {
					t.Errorf("minutes out of order: %+v", f)
				}
			}
		}
	})
}
