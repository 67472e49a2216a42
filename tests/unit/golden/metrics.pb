name: "waitprobe_wait_seconds"
help: "How long waits took."
type: HISTOGRAM
metric {
  label {
    name: "key"
    value: "db.pool.acquire"
  }
  label {
    name: "class"
    value: "wait"
  }
  label {
    name: "program"
    value: "server"
  }
  histogram {
    sample_count: 7
    sample_sum: 40.982702
    schema: 3
    zero_count: 2
    positive_span {
      offset: -151
      length: 1
    }
    positive_span {
      offset: 73
      length: 3
    }
    positive_span {
      offset: 74
      length: 1
    }
    positive_span {
      offset: 42
      length: 1
    }
    positive_delta: 1
    positive_delta: 0
    positive_delta: -1
    positive_delta: 1
    positive_delta: 0
    positive_delta: 0
    created_timestamp {
      seconds: 1650000000
      nanos: 0
    }
    exemplars {
      label {
        name: "pid"
        value: "17"
      }
      label {
        name: "tid"
        value: "18"
      }
      label {
        name: "trace_id"
        value: "0af7651916cd43dd8448eb211c80319c"
      }
      value: 0.98
      timestamp {
        seconds: 1700000000
        nanos: 123000003
      }
    }
    exemplars {
      label {
        name: "pid"
        value: "17"
      }
      label {
        name: "tid"
        value: "18"
      }
      value: 40
      timestamp {
        seconds: 1700000000
        nanos: 123000004
      }
    }
    exemplars {
      label {
        name: "pid"
        value: "17"
      }
      label {
        name: "tid"
        value: "18"
      }
      value: 0.0015
      timestamp {
        seconds: 1700000000
        nanos: 123000005
      }
    }
  }
}
metric {
  label {
    name: "key"
    value: "disk.read"
  }
  label {
    name: "class"
    value: "wait"
  }
  label {
    name: "program"
    value: "server"
  }
  histogram {
    sample_count: 2
    sample_sum: 7.5e-05
    schema: 3
    positive_span {
      offset: -118
      length: 3
    }
    positive_delta: 1
    positive_delta: -1
    positive_delta: 1
    created_timestamp {
      seconds: 1600000000
      nanos: 500000000
    }
  }
}
unit: "seconds"

name: "waitprobe_waits_lost_total"
help: "Waits that happened and were not counted, by reason \"a\\b\"."
type: COUNTER
metric {
  label {
    name: "reason"
    value: "gap"
  }
  counter {
    value: 3
    created_timestamp {
      seconds: 1600000000
      nanos: 500000000
    }
  }
}
metric {
  label {
    name: "reason"
    value: "late"
  }
  counter {
    value: 1.8446744073709552e+19
    created_timestamp {
      seconds: 1600000000
      nanos: 500000000
    }
  }
}

name: "process_cpu_seconds_total"
help: "CPU time."
type: COUNTER
metric {
  counter {
    value: 0.25
    created_timestamp {
      seconds: 1600000000
      nanos: 500000000
    }
  }
}
unit: "seconds"

name: "waitprobe_coverage_ratio"
help: "Share."
type: GAUGE
metric {
  gauge {
    value: 1e-07
  }
}
unit: "ratio"

name: "process_resident_memory_bytes"
help: "Memory."
type: GAUGE
metric {
  gauge {
    value: 1.152921504606847e+18
  }
}
unit: "bytes"

name: "waitprobe_wait_seconds"
help: "How long waits took."
type: HISTOGRAM
metric {
  label {
    name: "key"
    value: "db.pool.acquire"
  }
  label {
    name: "class"
    value: "wait"
  }
  label {
    name: "program"
    value: "server"
  }
  histogram {
    sample_count: 7
    sample_sum: 40.982702
    bucket {
      cumulative_count: 5
      upper_bound: 0.00390625
      exemplar {
        label {
          name: "pid"
          value: "17"
        }
        label {
          name: "tid"
          value: "18"
        }
        value: 0.0015
        timestamp {
          seconds: 1700000000
          nanos: 123000005
        }
      }
    }
    bucket {
      cumulative_count: 6
      upper_bound: 1
      exemplar {
        label {
          name: "pid"
          value: "17"
        }
        label {
          name: "tid"
          value: "18"
        }
        label {
          name: "trace_id"
          value: "0af7651916cd43dd8448eb211c80319c"
        }
        value: 0.98
        timestamp {
          seconds: 1700000000
          nanos: 123000003
        }
      }
    }
    bucket {
      cumulative_count: 7
      upper_bound: inf
      exemplar {
        label {
          name: "pid"
          value: "17"
        }
        label {
          name: "tid"
          value: "18"
        }
        value: 40
        timestamp {
          seconds: 1700000000
          nanos: 123000004
        }
      }
    }
    schema: 3
    zero_count: 2
    positive_span {
      offset: -151
      length: 1
    }
    positive_span {
      offset: 73
      length: 3
    }
    positive_span {
      offset: 74
      length: 1
    }
    positive_span {
      offset: 42
      length: 1
    }
    positive_delta: 1
    positive_delta: 0
    positive_delta: -1
    positive_delta: 1
    positive_delta: 0
    positive_delta: 0
    created_timestamp {
      seconds: 1650000000
      nanos: 0
    }
    exemplars {
      label {
        name: "pid"
        value: "17"
      }
      label {
        name: "tid"
        value: "18"
      }
      label {
        name: "trace_id"
        value: "0af7651916cd43dd8448eb211c80319c"
      }
      value: 0.98
      timestamp {
        seconds: 1700000000
        nanos: 123000003
      }
    }
    exemplars {
      label {
        name: "pid"
        value: "17"
      }
      label {
        name: "tid"
        value: "18"
      }
      value: 40
      timestamp {
        seconds: 1700000000
        nanos: 123000004
      }
    }
    exemplars {
      label {
        name: "pid"
        value: "17"
      }
      label {
        name: "tid"
        value: "18"
      }
      value: 0.0015
      timestamp {
        seconds: 1700000000
        nanos: 123000005
      }
    }
  }
}
metric {
  label {
    name: "key"
    value: "disk.read"
  }
  label {
    name: "class"
    value: "wait"
  }
  label {
    name: "program"
    value: "server"
  }
  histogram {
    sample_count: 2
    sample_sum: 7.5e-05
    bucket {
      cumulative_count: 2
      upper_bound: 0.00390625
    }
    bucket {
      cumulative_count: 2
      upper_bound: 1
    }
    bucket {
      cumulative_count: 2
      upper_bound: inf
    }
    schema: 3
    positive_span {
      offset: -118
      length: 3
    }
    positive_delta: 1
    positive_delta: -1
    positive_delta: 1
    created_timestamp {
      seconds: 1600000000
      nanos: 500000000
    }
  }
}
unit: "seconds"

