"""What calls will cost and take, before the first of them: pure numbers, no I/O."""
