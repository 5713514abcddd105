"""Trying many settings of one steering: a grid, cells kept on disk, a choice by rule, a check on held-out documents."""
