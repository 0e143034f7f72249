"""The AWS Well-Architected Machine Learning Lens as CDK constructs."""
