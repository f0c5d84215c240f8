"""Every setting: its tables (`sections`), where values come from (`load`), the profiles (`profiles`)."""
