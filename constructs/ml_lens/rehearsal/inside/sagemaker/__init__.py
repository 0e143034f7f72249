"""SageMaker inside the sandbox: models that really answer, behind endpoints as the service keeps them."""
